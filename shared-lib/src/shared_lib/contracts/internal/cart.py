"""svc-cart.

GET /internal/v1/carts/{user_id} -> CartSnapshot (svc-orders); a user without a cart gets an empty one with version 0
"""

from __future__ import annotations

from uuid import UUID

import msgspec


class CartSnapshotLine(msgspec.Struct, frozen=True, kw_only=True):
    line_id: UUID
    variant_id: UUID
    quantity: int


class CartSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    cart_id: UUID
    user_id: UUID
    version: int
    lines: list[CartSnapshotLine]
