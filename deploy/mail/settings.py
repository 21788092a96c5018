"""What the mail catcher reads from its environment, checked once at start."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

#: All are required: name and meaning.
VARIABLES = {
    "MAIL_HOST": "the address where it listens",
    "MAIL_SMTP_PORT": "the port that takes mails",
    "MAIL_WEB_PORT": "the port of its page",
    "MAIL_FOLDER": "where it keeps the mails",
}


class BadSettings(Exception):
    """The text is a sentence that names the variable."""


@dataclass(frozen=True)
class Settings:
    host: str
    smtp_port: int
    web_port: int
    folder: Path

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Settings":
        """Raises `BadSettings` for a variable that is missing, malformed or misspelt."""
        for name in environ:
            if name not in VARIABLES and (meant := get_close_matches(name, VARIABLES, n=1, cutoff=0.9)):
                raise BadSettings(
                    f'Environment variable "{name}" is not a setting of the mail catcher; {meant[0]} is.'
                )
        for name in VARIABLES:
            if not environ.get(name):
                raise BadSettings(f'Environment variable "{name}" is not set; the mail catcher needs it.')
        return cls(
            environ["MAIL_HOST"],
            _port(environ, "MAIL_SMTP_PORT"),
            _port(environ, "MAIL_WEB_PORT"),
            Path(environ["MAIL_FOLDER"]),
        )


def _port(environ: Mapping[str, str], name: str) -> int:
    text = environ[name]
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise BadSettings(f'Environment variable "{name}" must be a port from 1 to 65535.')
    return int(text)
