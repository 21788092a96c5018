"""Links in mails: made when the mail is sent, so that no token waits in a queue or lies in the outbox."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from accounts.exceptions import LinkInvalid, LinkUsed
from accounts.models import LinkPurpose, OneTimeToken, User
from accounts.services.rows import lock_user
from shared_lib.exceptions import NotFound


class Link(NamedTuple):
    url: str
    expires_at: datetime


def create_one_time_link(*, user_id: UUID, purpose: LinkPurpose) -> Link:
    """A new link for the active user; earlier ones stay valid, since the mail with one may already be on its way.

    Raises `NotFound`.
    """
    page, seconds = {
        LinkPurpose.VERIFY_EMAIL: ("verify-email", settings.VERIFY_LINK_SECONDS),
        LinkPurpose.RESET_PASSWORD: ("reset-password", settings.RESET_LINK_SECONDS),
    }[purpose]
    token = secrets.token_urlsafe(32)
    expires_at = timezone.now() + timedelta(seconds=seconds)
    with transaction.atomic():
        if not User.objects.filter(pk=user_id, is_active=True).exists():
            raise NotFound
        OneTimeToken.objects.create(
            user_id=user_id, purpose=purpose, token_hash=_digest(token), expires_at=expires_at
        )
    return Link(f"{settings.STOREFRONT_URL}/{page}?{urlencode({'token': token})}", expires_at)


def check_token(token: str, purpose: LinkPurpose) -> User:
    """The user of an unused token, without using it up. Raises `LinkInvalid`."""
    row = _find(token, purpose).filter(used_at__isnull=True).select_related("user").first()
    if row is None or not row.user.is_active:
        raise LinkInvalid
    return row.user


def use_token(token: str, purpose: LinkPurpose) -> User:
    """Uses up all tokens of that user and purpose and returns the user, locked; called inside a transaction.

    Raises `LinkInvalid`, `LinkUsed` among them.
    """
    user_id = _find(token, purpose).values_list("user_id", flat=True).first()
    if user_id is None:
        raise LinkInvalid
    try:
        user = lock_user(user_id)
    except NotFound:
        raise LinkInvalid from None
    # Looked at under the lock: two uses at once are one.
    if not _find(token, purpose).filter(used_at__isnull=True).exists():
        raise LinkUsed
    OneTimeToken.objects.filter(user=user, purpose=purpose, used_at__isnull=True).update(
        used_at=timezone.now()
    )
    return user


def _find(token: str, purpose: LinkPurpose) -> models.QuerySet[OneTimeToken]:
    return OneTimeToken.objects.filter(
        token_hash=_digest(token), purpose=purpose, expires_at__gt=timezone.now()
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
