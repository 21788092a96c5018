"""JSON logs on standard output, one object a line, for structlog and the standard library alike.

Each line has the request id and the trace id of the work at hand. No secret gets into one: values are hidden where the name
says what they are, at any depth, and where they look like what nobody may read (also in messages and tracebacks).
"""

from __future__ import annotations

import logging
import logging.config
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import orjson
import structlog
from structlog.types import EventDict, WrappedLogger

from shared_lib.observability.context import request_id, traceparent

_SECRET_KEYS = (
    "password",
    "token",
    "secret",
    "authorization",
    "cookie",
    "otp",
    "refresh",
    "access",
    "api_key",
    "private_key",
    "dsn",
)
_HIDDEN = "[hidden]"
# Credentials of HTTP, JSON web tokens, passwords in URLs, keys of providers, keys in PEM. Over the finished line, so that it
# does not matter where in it they are; `\\n` is how JSON writes the end of a line.
_LOOKS_SECRET = re.compile(
    r"(?i:\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"
    r"|(?<=://)[^\s/@:\"]*:[^\s/@\"]+(?=@)"
    r"|\b(?:sk|rk|whsec)_[A-Za-z0-9_]{8,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----"
)
# Without one of these, in small letters, there is nothing in a line of ASCII that the pattern finds: the cheaper question first.
_SIGNS = ("bearer", "basic", "eyj", "://", "sk_", "rk_", "whsec_", "private key")


def _add_context(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if request_id():
        event.setdefault("request_id", request_id())
        event.setdefault("trace_id", traceparent()[3:35])
    return event


def _hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        event[key] = _without_secrets(key, value)
    return event


@lru_cache(maxsize=4096)
def _names_a_secret(key: str) -> bool:
    return any(word in key.lower() for word in _SECRET_KEYS)


def _without_secrets(key: object, value: Any) -> Any:
    if isinstance(key, str) and _names_a_secret(key):
        return _HIDDEN
    if isinstance(value, dict):
        return {name: _without_secrets(name, inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets(None, inner) for inner in value]
    return value


def _dumps(event: EventDict, **_: Any) -> str:
    line = orjson.dumps(event, default=repr).decode()
    if line.isascii():
        small = line.lower()
        if not any(sign in small for sign in _SIGNS):
            return line
    return _LOOKS_SECRET.sub(_HIDDEN, line)


_stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    _stamp,
    _add_context,
    _hide_secrets,
]


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Lines that are finished, those of `info_all`, go out as they are."""

    def format(self, record: logging.LogRecord) -> str:
        lines: str | None = getattr(record, "lines", None)
        return super().format(record) if lines is None else lines


def info_all(name: str, event: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """A line for each of `rows`, as `structlog.get_logger(name).info(event, **row)` writes it, but all in one record.

    Most of what a line costs is its record, an eighth the line itself.
    """
    logger = logging.getLogger(name)
    if not logger.isEnabledFor(logging.INFO):
        return
    bound = structlog.contextvars.get_contextvars()
    rest = _stamp(None, "info", {"event": event, "level": "info", "logger": name})
    lines = "\n".join(
        _dumps(_hide_secrets(None, "info", _add_context(None, "info", {**bound, **row, **rest})))
        for row in rows
    )
    if lines:
        extra = {"lines": lines}
        logger.handle(logger.makeRecord(name, logging.INFO, "", 0, event, (), None, extra=extra))


def configure(options: dict[str, Any]) -> None:
    """Django's LOGGING_CONFIG. `options`: `{"level": "INFO"}`. Raises `ValueError` for an unknown level."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "json": {
                    "()": _Formatter,
                    "foreign_pre_chain": _SHARED,
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        structlog.processors.format_exc_info,
                        structlog.processors.JSONRenderer(serializer=_dumps),
                    ],
                }
            },
            "handlers": {
                "console": {
                    "class": "logging.StreamHandler",
                    "formatter": "json",
                    "stream": "ext://sys.stdout",
                }
            },
            "root": {"handlers": ["console"], "level": options["level"]},
            "loggers": {
                "django.request": {"level": "ERROR"},
                "django.server": {"level": "WARNING"},
                "httpx": {"level": "WARNING"},
                "httpcore": {"level": "WARNING"},
                "amqp": {"level": "WARNING"},
                "celery": {"level": "WARNING"},
                "kombu": {"level": "WARNING"},
            },
        }
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
