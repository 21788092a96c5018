"""Telling users, and what they have read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from notifications import selectors
from notifications.kinds import WAYS, Kind
from notifications.models import Email, Notification, Recipient
from shared_lib.jobs import enqueue

_LOCK_RECIPIENT = "SELECT erased_at FROM notifications_recipient WHERE user_id = %s FOR NO KEY UPDATE"


@transaction.atomic(savepoint=False)
def notify(
    *, user_id: UUID, kind: Kind, event_id: UUID, data: Mapping[str, Any] | None = None, by_email: bool = True
) -> None:
    """Puts an entry into the user's inbox and a mail on its way, as the kind says; once for an event and a kind.

    `by_email` False leaves the mail out. Nothing happens for a user who was erased.
    """
    if _is_erased(user_id):
        return
    ways, told = WAYS[kind], dict(data or {})
    if ways.in_app:
        entry = Notification(user_id=user_id, event_id=event_id, kind=kind, data=told)
        Notification.objects.bulk_create([entry], ignore_conflicts=True)
    if ways.email and by_email:
        from notifications.tasks import send_due_emails

        email = Email(user_id=user_id, event_id=event_id, kind=kind, data=told)
        Email.objects.bulk_create([email], ignore_conflicts=True)
        enqueue(send_due_emails)


@transaction.atomic(savepoint=False)
def remind_of_cart(*, user_id: UUID, cart_id: UUID, version: int, event_id: UUID) -> None:
    """Puts a mail about a cart that was left on its way, once for each version of the cart and never for an older one.

    What the cart holds is asked for when the mail is sent.
    """
    if _is_erased(user_id):
        return
    reminders = Email.objects.filter(user_id=user_id, kind=Kind.CART_REMINDER, data__cart_id=str(cart_id))
    if not reminders.filter(data__version__gte=version).exists():
        data = {"cart_id": str(cart_id), "version": version}
        notify(user_id=user_id, kind=Kind.CART_REMINDER, event_id=event_id, data=data)


@transaction.atomic
def mark_read(*, user_id: UUID, notification_id: UUID) -> Notification:
    """Marks one entry as read; one that was read before keeps its time. Raises `NotificationNotFound`."""
    entries = selectors.inbox(user_id=user_id, unread_only=True).filter(pk=notification_id)
    entries.update(read_at=timezone.now())
    return selectors.get_notification(user_id=user_id, notification_id=notification_id)


def mark_all_read(*, user_id: UUID) -> int:
    """Marks all entries of the user as read; says how many were not."""
    return selectors.inbox(user_id=user_id, unread_only=True).update(read_at=timezone.now())


@transaction.atomic(savepoint=False)
def erase_user(*, user_id: UUID) -> None:
    """Forgets everything about a user but the fact itself. Mails on their way are not sent any more."""
    Recipient.objects.bulk_create([Recipient(user_id=user_id)], ignore_conflicts=True)
    Recipient.objects.filter(user_id=user_id, erased_at=None).update(erased_at=timezone.now())
    Notification.objects.filter(user_id=user_id).delete()
    Email.objects.filter(user_id=user_id).delete()


def _is_erased(user_id: UUID) -> bool:
    """Locks the user's row until the end of the transaction, so that nothing is written while the user is erased."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_RECIPIENT, [user_id])
        found = cursor.fetchone()
        if found is None:
            Recipient.objects.bulk_create([Recipient(user_id=user_id)], ignore_conflicts=True)
            cursor.execute(_LOCK_RECIPIENT, [user_id])
            found = cursor.fetchone()
    return found[0] is not None
