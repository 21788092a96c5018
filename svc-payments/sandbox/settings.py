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


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`settle_seconds`: how long `pm_card_delayed` stays `processing` (and a delayed refund `pending`).

    `webhook_seconds`: the pause between an event and the first try to deliver it.
    """

    database: Path
    api_key: str
    webhook_secret: str
    webhook_url: str
    public_url: str
    host: str
    port: int
    settle_seconds: float
    webhook_seconds: float
    faults: Faults

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        if environ.get("ENVIRONMENT", "dev") == "prod":
            raise BadSettings("The sandbox payment provider does not run when ENVIRONMENT is prod.")
        return cls(
            database=Path(_text(environ, "SANDBOX_DATABASE")),
            api_key=_text(environ, "SANDBOX_API_KEY"),
            webhook_secret=_text(environ, "SANDBOX_WEBHOOK_SECRET"),
            webhook_url=_url(environ, "SANDBOX_WEBHOOK_URL"),
            public_url=_url(environ, "SANDBOX_PUBLIC_URL"),
            host=environ.get("HOST", "127.0.0.1"),
            port=int(_number(environ, "PORT", None)),
            settle_seconds=_number(environ, "SANDBOX_SETTLE_SECONDS", 5.0),
            webhook_seconds=_number(environ, "SANDBOX_WEBHOOK_SECONDS", 0.2),
            faults=_faults(environ),
        )


def _text(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise BadSettings(f'Environment variable "{name}" is not set; the sandbox payment provider needs it.')
    return value


def _url(environ: Mapping[str, str], name: str) -> str:
    value = _text(environ, name).rstrip("/")
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise BadSettings(f'Environment variable "{name}" is not an absolute http or https URL.')
    return value


def _number(environ: Mapping[str, str], name: str, default: float | None) -> float:
    text = environ.get(name, "")
    if not text and default is not None:
        return default
    try:
        value = float(text)
    except ValueError:
        raise BadSettings(f'Environment variable "{name}" is not a number.') from None
    if value < 0:
        raise BadSettings(f'Environment variable "{name}" must not be negative.')
    return value


def _faults(environ: Mapping[str, str]) -> Faults:
    text = environ.get("SANDBOX_FAULTS", "").strip()
    try:
        return msgspec.json.decode(text, type=Faults) if text else Faults()
    except msgspec.MsgspecError as error:
        raise BadSettings(
            f'Environment variable "SANDBOX_FAULTS" is not a description of faults: {error}.'
        ) from None
