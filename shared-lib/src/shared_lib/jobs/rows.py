"""The row that guarantees a job: when it is due, and how often it was tried."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

from django.db import models, transaction
from django.utils import timezone

from shared_lib.backoff import pause_after
from shared_lib.models.origin import OriginModel

# About two days in all.
PAUSES = (10, 30, 60, 300, 900, 3600, 3600, 10800, 21600, 43200, 86400)


class DueModel(OriginModel):
    """A job as a row: it is to be done while `due_at` is set.

    `claim_due()` counts an attempt and puts `due_at` off before the work begins, so a process that dies on it leaves a row
    that is tried again. Work that succeeds ends with `settle()`; work that fails only returns or raises. After the last
    attempt `due_at` is null and `gave_up_at` set.
    """

    due_at = models.DateTimeField(null=True, blank=True, default=timezone.now)
    attempts = models.PositiveSmallIntegerField(default=0)
    gave_up_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True

    def settle(self) -> None:
        """Nothing more to do. The caller saves `due_at` with what else it changes."""
        self.due_at = None


_M = TypeVar("_M", bound=DueModel)


def claim_due(rows: models.QuerySet[_M], *, limit: int, pauses: Sequence[float] = PAUSES) -> list[_M]:
    """Takes up to `limit` due rows of `rows` for this process and commits that; no two callers get the same row.

    `pauses` are the seconds after each attempt until the row is due again; they must be longer than the work takes. For
    one hinted row: `claim_due(Mail.objects.filter(pk=pk), limit=1)`. A row whose attempts are used up is given up instead.
    """
    now = timezone.now()
    claimed: list[_M] = []
    given_up: list[_M] = []
    with transaction.atomic():
        due = (
            rows.filter(due_at__lte=now)
            .order_by("due_at")
            .select_for_update(skip_locked=True, of=("self",))[:limit]
        )
        for row in due:
            if row.attempts > len(pauses):
                row.due_at, row.gave_up_at = None, now
                given_up.append(row)
                continue
            row.attempts += 1
            row.due_at = now + (pause_after(row.attempts, pauses) or timedelta(seconds=pauses[-1]))
            claimed.append(row)
        _write(rows, claimed, "attempts", "due_at")
        _write(rows, given_up, "due_at", "gave_up_at")
    return claimed


def _write(rows: models.QuerySet[_M], some: Sequence[_M], *fields: str) -> None:
    """These fields of `some`: of one, as a rule, whose statement is half as dear as one that tells many apart."""
    if len(some) == 1:
        values = {field: getattr(some[0], field) for field in fields}
        _manager(rows).filter(pk=some[0].pk).update(**values)
    elif some:
        _manager(rows).bulk_update(some, fields)


def _manager(rows: models.QuerySet[_M]) -> Any:
    return rows.model._base_manager
