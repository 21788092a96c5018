"""svc-cart. Callers: svc-orders; of the contents svc-notifications.

GET    /internal/v1/carts/{user_id}         -> CartSnapshot; a user without a cart gets an empty one with version 0
GET    /internal/v1/carts/{user_id}/contents -> CartContents; likewise
POST   /internal/v1/coupon-uses CouponUseRequest -> 201 CouponUse; the same order and code again: 200. 409 `coupon_not_applicable`
       with `reason` when the coupon may not be used (any more); 409 `coupon_use_closed` when the order has given its uses back
DELETE /internal/v1/coupon-uses/{order_id}  -> 204, also when there is none: every use of this order comes back.
       Leaves a tombstone, so that a late POST for the same order takes nothing.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec

from shared_lib.money import Money


class CartSnapshotLine(msgspec.Struct, frozen=True, kw_only=True):
    line_id: UUID
    variant_id: UUID
    quantity: int


class CartCoupon(msgspec.Struct, frozen=True, kw_only=True):
    """A coupon of the cart, as a rule that the caller applies to its own prices.

    `percent` takes `basis_points` (1000 is 10 %) of the lines in `variant_ids` (null: all lines), `fixed` takes `amount`, but
    never more than those lines cost; `free_shipping` takes the price of shipping. `minimum` is what those lines must cost
    before any discount; a coupon that falls short of it takes nothing and the others go on. Coupons apply in the order in
    which the cart lists them, each to what the ones before have left. A percentage is rounded half up, once for the coupon;
    what a coupon takes is spread over its lines in proportion to what is left of them, by largest remainder
    (`shared_lib.money.divide_half_up`, `spread`).

    The cart lists only coupons that may be used by this user at this moment. A use that the user's own unpaid order holds
    does not count against that, since a new order replaces it: give it back before the new order takes its own.
    """

    code: str
    kind: Literal["percent", "fixed", "free_shipping"]
    basis_points: int = 0
    amount: Money | None = None
    minimum: Money | None = None
    variant_ids: list[UUID] | None = None


class CartSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    cart_id: UUID
    user_id: UUID
    version: int
    lines: list[CartSnapshotLine]
    coupons: list[CartCoupon] = []


class CartContentsLine(msgspec.Struct, frozen=True, kw_only=True):
    """`available`: units that can be bought at this moment."""

    name: str
    quantity: int
    line_total: Money
    available: int


class CartContents(msgspec.Struct, frozen=True, kw_only=True):
    """A cart as a person reads it, at the prices of this moment, without coupons and shipping."""

    version: int
    lines: list[CartContentsLine]
    subtotal: Money


class CouponUseRequest(msgspec.Struct, frozen=True, kw_only=True):
    order_id: UUID
    user_id: UUID
    code: str


class CouponUse(msgspec.Struct, frozen=True, kw_only=True):
    order_id: UUID
    code: str
