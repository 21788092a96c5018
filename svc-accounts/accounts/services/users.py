"""Users: making one, changing one, proving the address, ending one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.db import transaction

from accounts.exceptions import LinkUsed
from accounts.models import LinkPurpose, RevokeReason, User
from accounts.services.links import use_token
from accounts.services.passwords import check_strength
from accounts.services.revocations import deny_tokens_of, end_sessions
from accounts.services.rows import lock_sessions_alive, lock_user, save_and_tell
from shared_lib.contracts.events import (
    UserAddressInUse,
    UserDeactivated,
    UserRegistered,
    UserVerificationRequested,
)
from shared_lib.events import publish


def register(*, email: str, password: str, name: str, language: str) -> None:
    """A new user with the canonical address `email`.

    For an address in use nothing changes and its owner is told; the caller cannot tell the two apart, by the time
    either. Raises `UnacceptablePassword`.
    """
    new = User(email=email, name=name, language=language)
    check_strength(password, new, field="password")
    new.password = make_password(password)
    with transaction.atomic():
        # The constraint decides, also between two registrations at once.
        User.objects.bulk_create([new], ignore_conflicts=True)
        owner_id = User.objects.values_list("pk", flat=True).get(email=email)
        if owner_id == new.pk:
            publish(
                UserRegistered(user_id=new.pk, version=new.version, language=new.language), subject=new.pk
            )
        else:
            publish(UserAddressInUse(user_id=owner_id), subject=owner_id)


def update_profile(*, user_id: UUID, changes: dict[str, Any], precondition: Callable[[User], None]) -> User:
    """Sets `name` and `language` where given. `precondition` sees the locked user and raises to refuse."""
    with transaction.atomic():
        user = lock_user(user_id)
        precondition(user)
        changed = {field: value for field, value in changes.items() if getattr(user, field) != value}
        if changed:
            for field, value in changed.items():
                setattr(user, field, value)
            save_and_tell(user, *changed)
        return user


def verify_email(*, token: str) -> None:
    """The bearer of a link sent to the address holds it. Ends every session opened before. Raises `LinkInvalid`.

    The same link again, while it is not expired, changes nothing.
    """
    with suppress(LinkUsed), transaction.atomic():
        user = use_token(token, LinkPurpose.VERIFY_EMAIL)
        if not user.email_verified:
            user.email_verified = True
            save_and_tell(user, "email_verified")
            end_sessions(lock_sessions_alive(user.pk), RevokeReason.EMAIL_VERIFIED)


def request_verification(*, email: str) -> None:
    """Has the verify link sent again, if there is an active user with that address who needs it."""
    with transaction.atomic():
        user_id = (
            User.objects.filter(email=email, is_active=True, email_verified=False)
            .values_list("pk", flat=True)
            .first()
        )
        if user_id is not None:
            publish(UserVerificationRequested(user_id=user_id), subject=user_id)


def deactivate_user(*, user_id: UUID) -> None:
    """Nobody signs in as this user any more, and nothing that was handed out works on. Raises `NotFound`."""
    with transaction.atomic():
        user = lock_user(user_id)
        user.is_active = False
        save_and_tell(user, "is_active")
        publish(UserDeactivated(user_id=user.pk, version=user.version), subject=user.pk)
        end_sessions(lock_sessions_alive(user.pk), RevokeReason.DEACTIVATED)
        deny_tokens_of(user.pk)
