"""Events that svc-cart publishes."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from shared_lib.contracts.events.base import AggregateEvent


class CartAbandoned(AggregateEvent, frozen=True, kw_only=True, omit_defaults=True):
    event_type: ClassVar[str] = "cart.abandoned.v1"
    producer: ClassVar[str] = "svc-cart"
    cart_id: UUID
    user_id: UUID
