"""Every read of svc-notifications, scoped to who asks."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from notifications.exceptions import NotificationNotFound
from notifications.models import Notification


def inbox(*, user_id: UUID, unread_only: bool = False) -> QuerySet[Notification]:
    """The user's notifications."""
    entries = Notification.objects.filter(user_id=user_id)
    return entries.filter(read_at__isnull=True) if unread_only else entries


def get_notification(*, user_id: UUID, notification_id: UUID) -> Notification:
    """Raises `NotificationNotFound`, also for one of somebody else."""
    entry = inbox(user_id=user_id).filter(pk=notification_id).first()
    if entry is None:
        raise NotificationNotFound
    return entry
