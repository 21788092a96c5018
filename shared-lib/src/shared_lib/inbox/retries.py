"""Trying again what failed or came too early, when it is due.

Each attempt is counted in a transaction of its own before the handler runs, so that a handler that ends the process uses
up its attempts like any other failure.
"""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.db import Error, transaction
from django.utils import timezone

from shared_lib.events import lag, metrics
from shared_lib.failpoints import failpoint
from shared_lib.inbox import schedule
from shared_lib.inbox.models import InboxEvent, Status
from shared_lib.inbox.processing import (
    BATCH,
    DatabaseUnavailable,
    Processor,
    incoming_of,
    log_processed,
    raise_if_lost,
    record,
)

log = structlog.get_logger(__name__)


def run_due(processor: Processor) -> int:
    """Runs up to `BATCH` due rows, each in a transaction of its own; says how many. Raises `DatabaseUnavailable`."""
    try:
        rows = _claim_due()
        for row in rows:
            _run(processor, row)
        return len(rows)
    except Error as error:
        raise_if_lost(error)
        raise


def _claim_due() -> list[InboxEvent]:
    """Counts one more attempt of each due row and puts its next one off, so that nobody else takes it meanwhile."""
    now = timezone.now()
    with transaction.atomic():
        due = InboxEvent.objects.filter(status=Status.WAITING, due_at__lte=now).order_by("due_at")
        rows = list(due.select_for_update(skip_locked=True)[:BATCH])
        for row in rows:
            row.attempts += 1
            pause = schedule.after_failure(row.attempts).pause or timedelta(minutes=1)
            row.due_at = now + max(pause, timedelta(seconds=1))
        InboxEvent.objects.bulk_update(rows, ["attempts", "due_at"])
    return rows


def _run(processor: Processor, claimed: InboxEvent) -> None:
    message = incoming_of(claimed)
    mine = InboxEvent.objects.filter(
        event_id=claimed.event_id, status=Status.WAITING, attempts=claimed.attempts
    )
    before = claimed.attempts - 1
    try:
        if before > len(schedule.FAILURE_PAUSES):
            raise ProcessEnded(
                f"the process ended during attempt {before}; last error: {claimed.error or 'none'}"
            )
        with transaction.atomic():
            if not mine.select_for_update(skip_locked=True).exists():
                return
            processor.run_handler(message)
            mine.update(status=Status.PROCESSED, settled_at=timezone.now(), due_at=None, body="", error="")
            failpoint("inbox.uncommitted")
        metrics.CONSUMED.labels(message.type, "processed").inc()
        log_processed([message])
    except Exception as error:  # noqa: BLE001  handlers may raise anything
        raise_if_lost(error)
        with transaction.atomic():
            if mine.select_for_update(skip_locked=True).exists():
                record(message, error, attempts=before, deferrals=claimed.deferrals)


class ProcessEnded(Exception):
    """The last attempts did not even fail: they ended the process."""


def seconds_to_next_due(most: float) -> float:
    """Seconds until a row is due, at most `most`, at least 0. Raises `DatabaseUnavailable`."""
    try:
        first = (
            InboxEvent.objects.filter(status=Status.WAITING)
            .order_by("due_at")
            .values_list("due_at", flat=True)
            .first()
        )
    except Error as error:
        raise_if_lost(error)
        raise
    if first is None:
        return most
    return min(max((first - timezone.now()).total_seconds(), 0.0), most)


def measure() -> None:
    """Sets the gauges of waiting rows and dead letters. Raises `DatabaseUnavailable`."""
    try:
        lag.measure_inbox()
    except Error as error:
        raise_if_lost(error)
        raise


__all__ = ["DatabaseUnavailable", "measure", "run_due", "seconds_to_next_due"]
