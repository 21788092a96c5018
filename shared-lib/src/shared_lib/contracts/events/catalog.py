"""Events that svc-catalog publishes."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

import msgspec

from shared_lib.contracts.events.base import AggregateEvent, Event
from shared_lib.money import Money

PRODUCER = "svc-catalog"


class ProductVariant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    variant_id: UUID
    sku: str
    price: Money
    attributes: dict[str, str] = {}


class ProductState(AggregateEvent, frozen=True, kw_only=True, omit_defaults=True):
    """What other services show of a product. `thumbnail` is a path or URL, or null; `category` a slug."""

    product_id: UUID
    seller_id: UUID
    slug: str
    name: str
    category: str
    variants: list[ProductVariant]
    thumbnail: str | None = None


class ProductPublished(ProductState, frozen=True, kw_only=True, omit_defaults=True):
    event_type: ClassVar[str] = "product.published.v1"
    producer: ClassVar[str] = PRODUCER


class ProductUpdated(ProductState, frozen=True, kw_only=True, omit_defaults=True):
    event_type: ClassVar[str] = "product.updated.v1"
    producer: ClassVar[str] = PRODUCER


class ProductArchived(AggregateEvent, frozen=True, kw_only=True, omit_defaults=True):
    event_type: ClassVar[str] = "product.archived.v1"
    producer: ClassVar[str] = PRODUCER
    product_id: UUID


class StockChanged(AggregateEvent, frozen=True, kw_only=True, omit_defaults=True):
    """`version` is the stock record's own, apart from the product's. `available` = on hand minus reserved."""

    event_type: ClassVar[str] = "stock.changed.v1"
    producer: ClassVar[str] = PRODUCER
    variant_id: UUID
    product_id: UUID
    available: int


class StockLow(AggregateEvent, frozen=True, kw_only=True, omit_defaults=True):
    event_type: ClassVar[str] = "stock.low.v1"
    producer: ClassVar[str] = PRODUCER
    variant_id: UUID
    product_id: UUID
    seller_id: UUID
    available: int


class MissingStock(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    variant_id: UUID
    product_id: UUID
    missing: int


class StockShortage(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A confirmed order whose reservation had lapsed, and for which there is no stock any more: nothing of it was taken.

    `lines` are those that fall short. Published once an order.
    """

    event_type: ClassVar[str] = "stock.shortage.v1"
    producer: ClassVar[str] = PRODUCER
    order_id: UUID
    lines: list[MissingStock]
