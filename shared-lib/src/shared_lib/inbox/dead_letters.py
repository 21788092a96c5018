"""Events that were given up: to be looked at, and then replayed or dropped by a person."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from shared_lib.inbox.models import InboxEvent, Status


def dead_letters(*, event_type: str = "", ids: Iterable[UUID] | None = None) -> QuerySet[InboxEvent]:
    """Oldest first; of one type, or with these ids, where given."""
    rows = InboxEvent.objects.filter(status=Status.DEAD).order_by("received_at")
    if event_type:
        rows = rows.filter(type=event_type)
    if ids is not None:
        rows = rows.filter(event_id__in=list(ids))
    return rows


@transaction.atomic
def replay(rows: QuerySet[InboxEvent]) -> int:
    """Gives them all their attempts again; the running consumer takes them within a second. Says how many."""
    return rows.update(status=Status.WAITING, due_at=timezone.now(), attempts=0, deferrals=0)


@transaction.atomic
def drop(rows: QuerySet[InboxEvent]) -> int:
    """They will never take effect. The rows stay until retention removes them. Says how many."""
    return rows.update(status=Status.DROPPED, settled_at=timezone.now(), due_at=None)
