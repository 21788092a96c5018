"""What belongs to the unit of work at hand (a request, an event, a job) and follows it into calls, events, jobs and logs."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token

from shared_lib.ids import uuid7

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}\Z")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\Z")
# Bit 0 of the flags, whose last hexadecimal digit is then odd.
_SAMPLED = frozenset("13579bdf")

_request_id: ContextVar[str] = ContextVar("request_id", default="")
_traceparent: ContextVar[str] = ContextVar("traceparent", default="")
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def request_id() -> str:
    return _request_id.get()


def traceparent() -> str:
    """W3C trace context of the work at hand, or an empty string."""
    return _traceparent.get()


def is_sampled(traceparent: str) -> bool:
    """Whether whoever began the trace wants its spans kept."""
    return traceparent[-1:] in _SAMPLED


def begin(
    *, request_id: str | None = None, traceparent: str | None = None, deadline: float | None = None
) -> None:
    """Starts a unit of work in this thread. A malformed or missing id is replaced by a new one, never trusted."""
    _request_id.set(request_id if request_id and _REQUEST_ID.match(request_id) else str(uuid7()))
    _traceparent.set(traceparent if traceparent and _TRACEPARENT.match(traceparent) else new_traceparent())
    _deadline.set(deadline)


@contextmanager
def resumed(*, request_id: str, traceparent: str) -> Iterator[None]:
    """What runs inside is a unit of work of its own that another one caused; afterwards the one around it goes on."""
    tokens: list[tuple[ContextVar[str], Token[str]]] = [
        (variable, variable.set(variable.get())) for variable in (_request_id, _traceparent)
    ]
    limit = _deadline.set(None)
    try:
        begin(request_id=request_id, traceparent=traceparent)
        yield
    finally:
        _deadline.reset(limit)
        for variable, token in tokens:
            variable.reset(token)


def enter_span(traceparent: str) -> Token[str]:
    """From now on `traceparent` is the parent of what is called; `leave_span` takes it back."""
    return _traceparent.set(traceparent)


def leave_span(token: Token[str]) -> None:
    _traceparent.reset(token)


def new_traceparent() -> str:
    """A trace of which nothing is kept: whether one is, the gateway decides and nobody else."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"


def remaining_seconds(default: float) -> float:
    """How long the work at hand may still take: until its deadline, at most `default`; never negative."""
    deadline = _deadline.get()
    return default if deadline is None else max(0.0, min(default, deadline - time.time()))


def deadline() -> float | None:
    """Unix time until which somebody waits for the work at hand, or None."""
    return _deadline.get()
