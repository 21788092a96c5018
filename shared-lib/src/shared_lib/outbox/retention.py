"""Removal of published events that are old enough."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db import connection
from django.utils import timezone

KEEP_DAYS = 7
_SLICE = 5000

# The key's own time bounds the scan from above, so that no index on published_at is needed.
_DELETE = """
    DELETE FROM outbox_event WHERE id IN (
        SELECT id FROM outbox_event WHERE id < %s AND published_at < %s ORDER BY id LIMIT %s
    )
"""


def oldest_key_after(moment_ms: int) -> UUID:
    """The smallest UUIDv7 of the millisecond `moment_ms` (since 1970)."""
    return UUID(int=(moment_ms << 80) | (0x7 << 76) | (0b10 << 62))


def delete_published(*, keep: timedelta = timedelta(days=KEEP_DAYS)) -> int:
    """Deletes events published more than `keep` ago, in slices; says how many. Unpublished ones stay, however old."""
    before = timezone.now() - keep
    bound = oldest_key_after(int(before.timestamp() * 1000))
    deleted = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_DELETE, (bound, before, _SLICE))
            deleted += cursor.rowcount
            if cursor.rowcount < _SLICE:
                return deleted
