"""When an event that took no effect is tried again, and when it is given up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from shared_lib.backoff import pause_after
from shared_lib.inbox.models import Status

# Seconds after the first, second, ... failure: a bug that is mended within two days costs nothing but time.
FAILURE_PAUSES = (1, 5, 15, 60, 300, 900, 3600, 3600, 10800, 21600, 43200, 86400)
# An event that is too early waits for one that is on its way: short at first, an hour and a half altogether.
EARLY_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.5, 3, 5, 10, 10, 10, 20, 20, 30, 30, *[60] * 30, *[300] * 10)
# A message that was handed out this often without an acknowledgement may be what ends the process.
SUSPECT_AFTER = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    status: Status
    pause: timedelta | None


def after_failure(attempts: int) -> Verdict:
    """`attempts` counts the one that just failed."""
    return _verdict(pause_after(attempts, FAILURE_PAUSES))


def after_deferral(deferrals: int) -> Verdict:
    """`deferrals` counts the one that just happened."""
    return _verdict(pause_after(deferrals, EARLY_PAUSES))


def _verdict(pause: timedelta | None) -> Verdict:
    return Verdict(Status.DEAD, None) if pause is None else Verdict(Status.WAITING, pause)
