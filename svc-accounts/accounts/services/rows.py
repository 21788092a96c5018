"""The row locks of this service, in one place, and how a locked user is saved.

Order of the locks: a user, then that user's sessions by id.
"""

from __future__ import annotations

from uuid import UUID

from django.utils import timezone

from accounts.models import Session, User
from shared_lib.contracts.events import UserUpdated
from shared_lib.events import publish
from shared_lib.exceptions import NotFound


def lock_user(user_id: UUID) -> User:
    """The active user, locked. Raises `NotFound`; the caller is in a transaction."""
    user = User.objects.select_for_update(no_key=True).filter(pk=user_id, is_active=True).first()
    if user is None:
        raise NotFound
    return user


def lock_session(session_id: UUID) -> Session | None:
    return Session.objects.select_for_update(no_key=True).filter(pk=session_id).first()


def lock_sessions_alive(user_id: UUID) -> list[Session]:
    """All sessions of the user that have not ended, locked in the order of their ids."""
    alive = Session.objects.filter(user_id=user_id, revoked_at__isnull=True, expires_at__gt=timezone.now())
    return list(alive.select_for_update(no_key=True).order_by("pk"))


def save_and_tell(user: User, *fields: str) -> None:
    """Saves `fields` of the locked user as a new version and publishes it."""
    user.bump()
    user.save(update_fields=[*fields, "version", "updated_at"])
    publish(UserUpdated(user_id=user.pk, version=user.version, language=user.language), subject=user.pk)
