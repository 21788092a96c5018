"""How a periodic task works through rows that are due."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

BATCH = 50
# A task that takes longer leaves the rest to its next run.
_SECONDS = 20.0


def sweep(claim: Callable[[], list[T]], act: Callable[[T], None]) -> int:
    """Claims batches and acts on each row, until nothing is due or the time is up; says how many rows it acted on.

    `claim` commits before it returns, and puts its rows out of everybody's reach for longer than acting on them takes.
    """
    until = time.monotonic() + _SECONDS
    count = 0
    while time.monotonic() < until and (rows := claim()):
        for row in rows:
            act(row)
        count += len(rows)
    return count
