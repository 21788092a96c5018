"""The `events` process of a service: relay and consumer as two threads, and nothing that could hide that one has died."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from types import FrameType

import structlog
from django.conf import settings

from shared_lib.events.loops import Loop

log = structlog.get_logger(__name__)

SILENT_SECONDS = 90.0


class EventsProcess:
    """Runs loops until SIGTERM or SIGINT, or until one of them ends.

    A loop that ends by itself, or has not moved for `silent_seconds`, ends the process with code 1, so that whoever
    supervises it starts a new one.
    """

    def __init__(self, loops: Sequence[Loop], *, silent_seconds: float = SILENT_SECONDS) -> None:
        self.loops = loops
        self._silent_seconds = silent_seconds
        self._stop = threading.Event()
        self._ended: list[str] = []

    def run(self) -> int:
        """Returns the exit code: 0 after a signal and an orderly end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        threads = [
            threading.Thread(target=self._guard, args=(loop,), name=loop.name, daemon=True)
            for loop in self.loops
        ]
        for thread in threads:
            thread.start()
        log.info("events_started", loops=[loop.name for loop in self.loops])
        failed = self._watch()
        self._stop.set()
        deadline = time.monotonic() + settings.DRAIN_SECONDS
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))
        if stuck := [thread.name for thread in threads if thread.is_alive()]:
            # What they were doing is rolled back and handed out again.
            log.error("events_stopped_hard", loops=stuck)
            return 1
        log.info("events_stopped", failed=failed)
        return 1 if failed or self._ended else 0

    @property
    def alive(self) -> bool:
        return not self._ended and all(loop.pulse.silent_for() < self._silent_seconds for loop in self.loops)

    @property
    def ready(self) -> bool:
        return self.alive and all(loop.pulse.ready for loop in self.loops)

    def _watch(self) -> bool:
        while not self._stop.wait(0.5):
            if self._ended:
                return True
            for loop in self.loops:
                if loop.pulse.silent_for() > self._silent_seconds:
                    log.error("loop_stuck", loop=loop.name, seconds=round(loop.pulse.silent_for()))
                    return True
        return False

    def _guard(self, loop: Loop) -> None:
        try:
            loop.run(self._stop)
        except BaseException:
            log.exception("loop_died", loop=loop.name)
            self._ended.append(loop.name)
        else:
            if not self._stop.is_set():
                log.error("loop_ended", loop=loop.name)
                self._ended.append(loop.name)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._stop.set()


def end(code: int) -> None:
    """Ends the process now, also when a thread is stuck in a handler."""
    structlog.get_logger(__name__).debug("exit", code=code)
    os._exit(code)
