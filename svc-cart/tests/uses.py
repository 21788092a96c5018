"""Uses of coupons, as svc-orders takes and pays for them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from cart import services
from cart.models import Cart
from shared_lib.models import uuid7


def user_of(cart: Cart) -> UUID:
    assert cart.user_id is not None
    return cart.user_id


def take(*, code: str, user_id: Any = None, order_id: UUID | None = None, paid: bool = False) -> UUID:
    """One use by a new order (of a new user by default); returns the order."""
    order_id, user_id = order_id or uuid7(), user_id or uuid7()
    services.use_coupon(order_id=order_id, user_id=user_id, code=code)
    if paid:
        services.subtract_ordered(order_id=order_id, cart_id=uuid7(), user_id=user_id, quantities={})
    return order_id
