"""What the collector of traces reads from its environment, checked once at start."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

#: Name, default (None: required) and meaning.
VARIABLES: dict[str, tuple[str | None, str]] = {
    "TRACES_HOST": (None, "the address where it listens"),
    "TRACES_PORT": (None, "its port"),
    "TRACES_FILE": (None, "the SQLite file that keeps the spans"),
    "TRACES_MOST_SPANS": ("200000", "how many spans it keeps; the oldest go"),
}


class BadSettings(Exception):
    """The text is a sentence that names the variable."""


@dataclass(frozen=True)
class Settings:
    host: str
    port: int
    file: Path
    most_spans: int

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Settings":
        """Raises `BadSettings` for a variable that is missing, malformed or misspelt."""
        for name in environ:
            if name not in VARIABLES and (meant := get_close_matches(name, VARIABLES, n=1, cutoff=0.9)):
                raise BadSettings(
                    f'Environment variable "{name}" is not a setting of the collector of traces; {meant[0]} is.'
                )
        for name, (default, _) in VARIABLES.items():
            if default is None and not environ.get(name):
                raise BadSettings(
                    f'Environment variable "{name}" is not set; the collector of traces needs it.'
                )
        return cls(
            environ["TRACES_HOST"],
            _number(environ, "TRACES_PORT", 1, 65535),
            Path(environ["TRACES_FILE"]),
            _number(environ, "TRACES_MOST_SPANS", 1, 10**9),
        )


def _number(environ: Mapping[str, str], name: str, least: int, most: int) -> int:
    text = environ.get(name) or VARIABLES[name][0] or ""
    if not text.isdecimal() or not least <= int(text) <= most:
        raise BadSettings(f'Environment variable "{name}" must be a whole number from {least} to {most}.')
    return int(text)
