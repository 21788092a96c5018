"""Passwords: rules, change, and the way back for who forgot."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.exceptions import UnacceptablePassword
from accounts.models import LinkPurpose, RevokeReason, User
from accounts.services.links import check_token, use_token
from accounts.services.revocations import end_sessions
from accounts.services.rows import lock_sessions_alive, lock_user, save_and_tell
from shared_lib.contracts.events import UserPasswordResetRequested
from shared_lib.events import publish
from shared_lib.exceptions import InvalidValue, NotFound


def check_strength(password: str, user: User, *, field: str) -> None:
    """Raises `UnacceptablePassword` with every rule that `password`, given as `field`, breaks."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        reasons = [(reason.code or "invalid", " ".join(reason.messages)) for reason in error.error_list]
        raise UnacceptablePassword(field, reasons) from None


def request_password_reset(*, email: str) -> None:
    """Has a link sent with which the password can be set anew, if there is an active user with that address."""
    with transaction.atomic():
        user_id = User.objects.filter(email=email, is_active=True).values_list("pk", flat=True).first()
        if user_id is not None:
            publish(UserPasswordResetRequested(user_id=user_id), subject=user_id)


def reset_password(*, token: str, password: str) -> None:
    """Sets the password and ends every session. Who has the link holds the address, so it counts as verified.

    Raises `LinkInvalid`, or `UnacceptablePassword`, which leaves the link unused.
    """
    check_strength(password, check_token(token, LinkPurpose.RESET_PASSWORD), field="password")
    hashed = make_password(password)
    with transaction.atomic():
        user = use_token(token, LinkPurpose.RESET_PASSWORD)
        user.password = hashed
        user.save(update_fields=["password", "updated_at"])
        if not user.email_verified:
            user.email_verified = True
            save_and_tell(user, "email_verified")
        end_sessions(lock_sessions_alive(user.pk), RevokeReason.PASSWORD_RESET)


def change_password(*, user_id: UUID, session_id: UUID, old_password: str, new_password: str) -> None:
    """Sets the password and ends all sessions but `session_id`. Raises `InvalidValue`, `UnacceptablePassword`, `NotFound`."""
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        raise NotFound
    if not check_password(old_password, user.password):
        raise InvalidValue("old_password", "This is not the current password.", "incorrect")
    check_strength(new_password, user, field="new_password")
    hashed = make_password(new_password)
    with transaction.atomic():
        locked = lock_user(user_id)
        if locked.password != user.password and not check_password(old_password, locked.password):
            raise InvalidValue("old_password", "This is not the current password.", "incorrect")
        locked.password = hashed
        locked.save(update_fields=["password", "updated_at"])
        others = [session for session in lock_sessions_alive(user_id) if session.pk != session_id]
        end_sessions(others, RevokeReason.PASSWORD_CHANGED)
