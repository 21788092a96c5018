"""The address book: a book that is not empty has exactly one default.

The user's row is the lock of the book; the partial unique constraint is what holds if somebody forgets it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.exceptions import AddressBookFull
from accounts.models import Address
from accounts.services.rows import lock_user
from shared_lib.exceptions import InvalidValue, NotFound

MAX_ADDRESSES = 50


def add_address(*, user_id: UUID, fields: dict[str, Any], is_default: bool = False) -> Address:
    """The first address becomes the default in any case. Raises `AddressBookFull`, `NotFound`."""
    with transaction.atomic():
        user = lock_user(user_id)
        held = Address.objects.filter(user=user).count()
        if held >= MAX_ADDRESSES:
            raise AddressBookFull(f"An address book holds at most {MAX_ADDRESSES} addresses.")
        if is_default and held:
            _clear_default(user_id)
        return Address.objects.create(user=user, is_default=is_default or not held, **fields)


def change_address(
    *, user_id: UUID, address_id: UUID, changes: dict[str, Any], precondition: Callable[[Address], None]
) -> Address:
    """Sets the fields in `changes`, `is_default` among them. `precondition` sees the locked row and raises to refuse.

    Raises `NotFound`, or `InvalidValue` when the default would be lost without another taking its place.
    """
    with transaction.atomic():
        lock_user(user_id)
        address = _own(user_id, address_id)
        precondition(address)
        if address.is_default and changes.get("is_default") is False:
            raise InvalidValue("is_default", "Make another address the default instead.", "default_required")
        changed = [field for field, value in changes.items() if getattr(address, field) != value]
        if not changed:
            return address
        if "is_default" in changed:
            _clear_default(user_id)
        for field in changed:
            setattr(address, field, changes[field])
        address.bump()
        address.save(update_fields=[*changed, "version", "updated_at"])
        return address


def remove_address(*, user_id: UUID, address_id: UUID, precondition: Callable[[Address], None]) -> None:
    """The newest of the others takes the place of a default that goes. Raises `NotFound`."""
    with transaction.atomic():
        lock_user(user_id)
        address = _own(user_id, address_id)
        precondition(address)
        address.delete()
        if address.is_default:
            heir = Address.objects.filter(user_id=user_id).order_by("-created_at", "-pk").values("pk")[:1]
            Address.objects.filter(pk__in=heir).update(
                is_default=True, version=F("version") + 1, updated_at=timezone.now()
            )


def _own(user_id: UUID, address_id: UUID) -> Address:
    address = Address.objects.filter(pk=address_id, user_id=user_id).first()
    if address is None:
        raise NotFound
    return address


def _clear_default(user_id: UUID) -> None:
    Address.objects.filter(user_id=user_id, is_default=True).update(
        is_default=False, version=F("version") + 1, updated_at=timezone.now()
    )
