"""What the sandbox reads from its environment, checked once at start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from sandbox.exceptions import BadSettings
from sandbox.faults import Faults
from shared_lib.settings.environment import misspelt

#: What is read: name, default (None: required), meaning.
VARIABLES: dict[str, tuple[str | None, str]] = {
    "ENVIRONMENT": ("dev", "it does not run in prod"),
    "HOST": ("127.0.0.1", "the address where it listens"),
    "PORT": (None, "the port where it listens; 0: any that is free"),
    "SANDBOX_DATABASE": (None, "the file of its books"),
    "SANDBOX_API_KEY": (None, "secret; what calls to it must bear"),
    "SANDBOX_WEBHOOK_SECRET": (None, "secret; what its webhooks are signed with"),
    "SANDBOX_WEBHOOK_URL": (None, "where its webhooks go"),
    "SANDBOX_PUBLIC_URL": (None, "where a browser finds its pages"),
    "SANDBOX_SETTLE_SECONDS": ("5", "how long a delayed payment or refund is under way"),
    "SANDBOX_WEBHOOK_SECONDS": ("0.2", "the pause between an event and the first try to deliver it"),
    "SANDBOX_FAULTS": ("", "JSON: the faults it shows from the start"),
}


class Secrets:
    """One value or several, a line each. Where they come from a file, that is read again when it has changed."""

    def __init__(self, *values: str, file: Path | None = None) -> None:
        self._values = values
        self._file = file
        self._state = (0, 0)

    @classmethod
    def of(cls, environ: Mapping[str, str], name: str) -> Secrets:
        """The variable, else what the file holds that NAME_FILE names. Raises `BadSettings` where there is none."""
        path = environ.get(f"{name}_FILE")
        if not path or environ.get(name):
            return cls(*_text(environ, name).split())
        found = cls(file=Path(path))
        if not found.now():
            raise BadSettings(
                f'Environment variable "{name}_FILE" names {path}, which holds nothing readable.'
            )
        return found

    def now(self) -> tuple[str, ...]:
        if self._file:
            try:
                status = self._file.stat()
                state = (status.st_mtime_ns, status.st_ino)
                if state != self._state and (values := tuple(self._file.read_text().split())):
                    self._values, self._state = values, state
            except (OSError, UnicodeDecodeError):
                pass  # the last ones go on
        return self._values


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`api_keys` and `webhook_secrets` are several while one replaces the other: each is accepted, and signed with.

    `settle_seconds`: how long `pm_card_delayed` stays `processing` (and a delayed refund `pending`).

    `webhook_seconds`: the pause between an event and the first try to deliver it.
    """

    database: Path
    api_keys: Secrets
    webhook_secrets: Secrets
    webhook_url: str
    public_url: str
    host: str
    port: int
    settle_seconds: float
    webhook_seconds: float
    faults: Faults

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        for name, meant in misspelt(environ, VARIABLES).items():
            raise BadSettings(
                f'Environment variable "{name}" is not a setting of the sandbox payment provider; {meant} is.'
            )
        if _given(environ, "ENVIRONMENT") == "prod":
            raise BadSettings("The sandbox payment provider does not run when ENVIRONMENT is prod.")
        return cls(
            database=Path(_text(environ, "SANDBOX_DATABASE")),
            api_keys=Secrets.of(environ, "SANDBOX_API_KEY"),
            webhook_secrets=Secrets.of(environ, "SANDBOX_WEBHOOK_SECRET"),
            webhook_url=_url(environ, "SANDBOX_WEBHOOK_URL"),
            public_url=_url(environ, "SANDBOX_PUBLIC_URL"),
            host=_given(environ, "HOST"),
            port=_port(environ),
            settle_seconds=_number(environ, "SANDBOX_SETTLE_SECONDS"),
            webhook_seconds=_number(environ, "SANDBOX_WEBHOOK_SECONDS"),
            faults=_faults(environ),
        )


def _text(environ: Mapping[str, str], name: str) -> str:
    value = _given(environ, name)
    if not value:
        raise BadSettings(f'Environment variable "{name}" is not set; the sandbox payment provider needs it.')
    return value


def _url(environ: Mapping[str, str], name: str) -> str:
    value = _text(environ, name).rstrip("/")
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise BadSettings(f'Environment variable "{name}" is not an absolute http or https URL.')
    return value


def _given(environ: Mapping[str, str], name: str) -> str:
    """The value, or the default where it is not set or empty."""
    return environ.get(name, "").strip() or VARIABLES[name][0] or ""


def _port(environ: Mapping[str, str]) -> int:
    text = _given(environ, "PORT")
    if not text.isdecimal() or int(text) > 65535:
        raise BadSettings('Environment variable "PORT" is not a number from 0 to 65535.')
    return int(text)


def _number(environ: Mapping[str, str], name: str) -> float:
    try:
        value = float(_given(environ, name))
    except ValueError:
        raise BadSettings(f'Environment variable "{name}" is not a number.') from None
    if value < 0:
        raise BadSettings(f'Environment variable "{name}" must not be negative.')
    return value


def _faults(environ: Mapping[str, str]) -> Faults:
    text = _given(environ, "SANDBOX_FAULTS")
    try:
        return msgspec.json.decode(text, type=Faults) if text else Faults()
    except msgspec.MsgspecError as error:
        raise BadSettings(
            f'Environment variable "SANDBOX_FAULTS" is not a description of faults: {error}.'
        ) from None
