"""Every read of svc-payments."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from payments.models import Payment
from payments.providers import get_provider, offered_providers
from shared_lib.exceptions import NotFound


def payment_of_user(*, user_id: UUID, payment_id: UUID) -> Payment:
    """Raises `NotFound` for an unknown payment and for another person's alike."""
    payment = Payment.objects.filter(pk=payment_id, user_id=user_id).first()
    if payment is None:
        raise NotFound
    return payment


def payment_for_service(*, payment_id: UUID) -> Payment:
    """Raises `NotFound`."""
    payment = Payment.objects.filter(pk=payment_id).first()
    if payment is None:
        raise NotFound
    return payment


def payment_methods() -> list[dict[str, Any]]:
    """What this shop offers, the default first: `provider`, `type`, `name` and what its storefront part needs."""
    return [{"provider": name, **get_provider(name).describe()} for name in offered_providers()]
