"""Every read of svc-accounts, scoped to who asks."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import Address, Session, User
from shared_lib.contracts.address import Address as PostalAddress
from shared_lib.contracts.internal import accounts as internal
from shared_lib.exceptions import NotFound

PROFILE_FIELDS = ("id", "email", "email_verified", "name", "language", "roles", "created_at", "version")


def get_profile(*, user_id: UUID) -> dict[str, Any]:
    """`PROFILE_FIELDS` of an active user. Raises `NotFound`."""
    profile = User.objects.filter(pk=user_id, is_active=True).values(*PROFILE_FIELDS).first()
    if profile is None:
        raise NotFound
    return profile


def list_addresses(*, user_id: UUID) -> QuerySet[Address]:
    """The user's address book, newest first."""
    return Address.objects.filter(user_id=user_id).order_by("-created_at", "-pk")


def get_address(*, user_id: UUID, address_id: UUID) -> Address:
    """Raises `NotFound`, also for another user's address."""
    address = Address.objects.filter(pk=address_id, user_id=user_id).first()
    if address is None:
        raise NotFound
    return address


def list_sessions(*, user_id: UUID) -> QuerySet[Session]:
    """The user's sessions that have not ended, newest first."""
    alive = Session.objects.filter(user_id=user_id, revoked_at__isnull=True, expires_at__gt=timezone.now())
    return alive.order_by("-created_at", "-pk")


def get_user_for_services(*, user_id: UUID) -> internal.User:
    """What orders and notifications may know. Raises `NotFound`; a deactivated user is found."""
    fields = User.objects.filter(pk=user_id).values(*internal.User.__struct_fields__).first()
    if fields is None:
        raise NotFound
    return internal.User(**fields)


def get_address_for_services(*, user_id: UUID, address_id: UUID) -> internal.UserAddress:
    """Raises `NotFound`, also for another user's address."""
    address = get_address(user_id=user_id, address_id=address_id)
    fields = {field: getattr(address, field) for field in PostalAddress.__struct_fields__}
    filled = {field: value for field, value in fields.items() if value}
    return internal.UserAddress(id=address.pk, address=msgspec.convert(filled, PostalAddress))
