"""svc-catalog.

GET    /internal/v1/variants?ids=UUID,UUID,...       -> VariantList, at most 100 ids, unknown ones left out (svc-cart, svc-orders)
GET    /internal/v1/products?cursor=                 -> ProductPage, to rebuild read models (svc-cart)
POST   /internal/v1/reservations ReservationRequest  -> 201 Reservation, every line or none (svc-orders);
       the same order_id again: the same reservation, 200; 409 `out_of_stock` with `lines: [{variant_id, requested, available}]`
       (a variant that is unknown or no longer sold counts as available 0); 409 `reservation_closed` when it was released or sold
DELETE /internal/v1/reservations/{order_id}          -> 204, also when there is none: undo for a draft (svc-orders).
       Leaves a tombstone, so that a late POST for the same order reserves nothing.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from shared_lib.contracts.moment import Moment
from shared_lib.money import Money


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    variant_id: UUID
    product_id: UUID
    seller_id: UUID
    sku: str
    name: str
    product_slug: str
    category: str
    unit_price: Money
    weight_grams: int
    available: int
    product_version: int
    stock_version: int
    thumbnail: str | None = None


class VariantList(msgspec.Struct, frozen=True, kw_only=True):
    results: list[Variant]


class SnapshotVariant(msgspec.Struct, frozen=True, kw_only=True):
    variant_id: UUID
    sku: str
    price: Money
    available: int
    stock_version: int
    attributes: dict[str, str] = {}


class SnapshotProduct(msgspec.Struct, frozen=True, kw_only=True):
    product_id: UUID
    version: int
    seller_id: UUID
    slug: str
    name: str
    category: str
    variants: list[SnapshotVariant]
    thumbnail: str | None = None


class ProductPage(msgspec.Struct, frozen=True, kw_only=True):
    """`next` is the cursor of the following page, null on the last."""

    results: list[SnapshotProduct]
    next: str | None = None


class ReservationLineRequest(msgspec.Struct, frozen=True, kw_only=True):
    variant_id: UUID
    quantity: int


class ReservationRequest(msgspec.Struct, frozen=True, kw_only=True):
    order_id: UUID
    lines: list[ReservationLineRequest]


class ReservedLine(msgspec.Struct, frozen=True, kw_only=True):
    variant_id: UUID
    product_id: UUID
    seller_id: UUID
    sku: str
    name: str
    quantity: int
    unit_price: Money
    weight_grams: int


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    order_id: UUID
    lines: list[ReservedLine]
    expires_at: Moment


class Shortage(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the 409 `out_of_stock`."""

    variant_id: UUID
    requested: int
    available: int
