"""Keys are kept for 24 hours."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from shared_lib.idempotency.models import IdempotencyKey

KEPT_FOR = timedelta(hours=24)


def delete_expired(*, limit: int = 10_000) -> int:
    """Deletes at most `limit` keys that are older than a day and not being worked on; says how many."""
    now = timezone.now()
    idle = Q(lease_expires_at__isnull=True) | Q(lease_expires_at__lt=now)
    expired = IdempotencyKey.objects.filter(idle, created_at__lt=now - KEPT_FOR).values_list("pk", flat=True)[
        :limit
    ]
    deleted, _ = IdempotencyKey.objects.filter(pk__in=list(expired)).delete()
    return deleted
