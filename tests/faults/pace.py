"""How fast the plan goes: where a machine does other things beside, its moments come later, and less is killed in the same time."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from load.cpu import TICKS, seconds_by_process
from shop import supervisor
from shop.layout import Layout

#: However little of the machine is left, a second of the plan takes no longer than so many.
SLOWEST = 4.0
MEASURE_SECONDS = 5.0


class Pace(threading.Thread):
    """A clock in seconds of the plan. While others take three quarters of the machine it goes a quarter as fast.

    What the stack and its tests use themselves does not count: the faults are meant to keep the machine busy.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__(name="pace", daemon=True)
        self._layout = layout
        self._lock = threading.Lock()
        self._moment = 0.0
        self._since = time.monotonic()
        self.factor = 1.0

    @property
    def moment(self) -> float:
        """Seconds since `begin`, as the plan counts them."""
        with self._lock:
            return self._moment + (time.monotonic() - self._since) / self.factor

    def begin(self) -> None:
        """Now is second 0."""
        with self._lock:
            self._moment, self._since = 0.0, time.monotonic()

    def until(self, moment: float, stop: threading.Event | None = None) -> bool:
        """Sleeps until the second `moment` of the plan; False if `stop` was set before."""
        stop = stop or threading.Event()
        while (left := moment - self.moment) > 0:
            if stop.wait(min(left * self.factor, 1.0)):
                return False
        return not stop.is_set()

    def run(self) -> None:
        at, own, idle = time.monotonic(), self._own(), _idle()
        while True:
            time.sleep(MEASURE_SECONDS)
            before = at, own, idle
            at, own, idle = time.monotonic(), self._own(), _idle()
            whole = (at - before[0]) * (os.cpu_count() or 1)
            self._take(whole / max(own - before[1] + idle - before[2], whole / SLOWEST))

    def _take(self, factor: float) -> None:
        with self._lock:
            now = time.monotonic()
            self._moment += (now - self._since) / self.factor
            self._since, self.factor = now, min(max(factor, 1.0), SLOWEST)

    def _own(self) -> float:
        """Processor seconds that the stack and the tests have used, with all their processes that have ended."""
        parents, used = seconds_by_process()
        # The proxy is a child of who started these tests.
        roots = {supervisor.pid(self._layout), os.getppid()}

        def ours(pid: int) -> bool:
            while pid and pid not in roots:
                pid = parents.get(pid, 0)
            return pid != 0

        return sum(seconds for pid, seconds in used.items() if ours(pid))


def _idle() -> float:
    """Processor seconds that nobody wanted since the machine was started."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return (int(fields[4]) + int(fields[5])) / TICKS
