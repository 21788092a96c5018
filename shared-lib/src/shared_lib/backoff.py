"""Growing pauses between attempts, with some chance in them so that many do not come back at once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta


class Backoff:
    """Pauses of one loop that reconnects: `first` seconds, twice as long each time, at most `most`.

    Not safe for several threads; each loop has its own.
    """

    def __init__(self, *, first: float = 0.2, most: float = 5.0) -> None:
        self._first = first
        self._most = most
        self._failures = 0

    def failed(self) -> float:
        """Counts one more failure and returns how many seconds to pause."""
        pause = min(self._first * 2**self._failures, self._most)
        self._failures = min(self._failures + 1, 30)
        return pause * random.uniform(0.8, 1.2)

    def succeeded(self) -> None:
        self._failures = 0


def pause_after(attempts: int, pauses: Sequence[float]) -> timedelta | None:
    """How long to wait after `attempts` attempts (1 or more), or None when there is no further one.

    `pauses` are seconds: `pauses[0]` follows the first attempt, so there are `len(pauses) + 1` attempts altogether.
    """
    if attempts > len(pauses):
        return None
    return timedelta(seconds=pauses[max(attempts, 1) - 1] * random.uniform(1.0, 1.2))
