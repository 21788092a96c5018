"""The frame of the two endless loops of the `events` process, the relay and the consumer."""

from __future__ import annotations

import threading
import time
from typing import Protocol

import structlog

from shared_lib.backoff import Backoff

log = structlog.get_logger(__name__)


class Pulse:
    """When a loop was last seen moving, and whether it does its work at the moment. Read from other threads."""

    def __init__(self) -> None:
        self.moved_at = time.monotonic()
        self.ready = False

    def beat(self) -> None:
        self.moved_at = time.monotonic()

    def silent_for(self) -> float:
        return time.monotonic() - self.moved_at


class Loop(Protocol):
    name: str
    pulse: Pulse

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set. Losing the broker or the database is no reason to return."""


def pause(loop: Loop, stop: threading.Event, backoff: Backoff, error: Exception) -> None:
    """Logs why `loop` cannot work and waits before it may try again."""
    seconds = backoff.failed()
    loop.pulse.ready = False
    log.warning(
        "events_interrupted",
        loop=loop.name,
        error=f"{type(error).__name__}: {error}",
        retry_in=round(seconds, 2),
    )
    loop.pulse.beat()
    stop.wait(seconds)
