"""Removal of inbox rows that are no longer needed to know a duplicate."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from django.utils import timezone

from shared_lib.outbox.retention import oldest_key_after

# A duplicate is a message that the broker hands out again or the relay publishes again after a crash: it comes within
# minutes of the first one that was taken from the same queue. Two weeks outlast every such outage.
KEEP_DAYS = 14
_SLICE = 5000

_DELETE = """
    DELETE FROM inbox_event WHERE event_id IN (
        SELECT event_id FROM inbox_event
        WHERE event_id < %s AND status IN ('processed', 'dropped') AND settled_at < %s
        ORDER BY event_id LIMIT %s
    )
"""


def delete_settled(*, keep: timedelta = timedelta(days=KEEP_DAYS)) -> int:
    """Deletes rows settled more than `keep` ago, in slices; says how many. Waiting rows and dead letters stay."""
    before = timezone.now() - keep
    bound = oldest_key_after(int(before.timestamp() * 1000))
    deleted = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_DELETE, (bound, before, _SLICE))
            deleted += cursor.rowcount
            if cursor.rowcount < _SLICE:
                return deleted
