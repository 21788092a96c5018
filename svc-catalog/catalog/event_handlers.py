"""What the catalog does when something happened."""

from __future__ import annotations

from collections.abc import Sequence

from catalog.services.gateway_cache import renew_gateway_cache
from catalog.services.settlement import Fact, settle_orders
from shared_lib.contracts.events import (
    OrderCancelled,
    OrderConfirmed,
    OrderReturnReceived,
    ProductArchived,
    ProductPublished,
    ProductUpdated,
    StockChanged,
)
from shared_lib.events import EventHandlers, batched, replayable


@batched
def on_orders_settled(facts: Sequence[Fact]) -> None:
    settle_orders(facts=facts)


@replayable
def on_product_changed(event: ProductPublished | ProductUpdated | ProductArchived) -> None:
    renew_gateway_cache(product_id=event.product_id)


@replayable
def on_stock_changed(event: StockChanged) -> None:
    renew_gateway_cache(product_id=event.product_id, variant_id=event.variant_id, available=event.available)


EVENT_HANDLERS: EventHandlers = {
    OrderConfirmed: on_orders_settled,
    OrderCancelled: on_orders_settled,
    OrderReturnReceived: on_orders_settled,
    ProductPublished: on_product_changed,
    ProductUpdated: on_product_changed,
    ProductArchived: on_product_changed,
    StockChanged: on_stock_changed,
}
