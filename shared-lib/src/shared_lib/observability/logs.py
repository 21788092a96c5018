"""JSON logs on standard output, one object a line, for structlog and the standard library alike."""

from __future__ import annotations

import logging
import logging.config
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
)


def _add_context(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if request_id():
        event.setdefault("request_id", request_id())
        event.setdefault("trace_id", traceparent()[3:35])
    return event


def _hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for key in event:
        if any(word in key.lower() for word in _SECRET_KEYS):
            event[key] = "[hidden]"
    return event


def _dumps(event: EventDict, **_: Any) -> str:
    return orjson.dumps(event, default=repr).decode()


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _add_context,
    _hide_secrets,
]


def configure(options: dict[str, Any]) -> None:
    """Django's LOGGING_CONFIG. `options`: `{"level": "INFO"}`. Raises `ValueError` for an unknown level."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "json": {
                    "()": structlog.stdlib.ProcessorFormatter,
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
