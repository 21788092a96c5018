"""What svc-cart does with the events of others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from cart import services
from shared_lib.contracts.events import (
    OrderCancelled,
    OrderConfirmed,
    ProductArchived,
    ProductPublished,
    ProductState,
    ProductUpdated,
    StockChanged,
    UserErased,
)
from shared_lib.events import EventHandlers, batched, replayable
from shared_lib.inbox.read_models import ReadModels


@replayable
def on_product(event: ProductState) -> None:
    services.store_product(product=event)


@replayable
def on_product_archived(event: ProductArchived) -> None:
    services.archive_product(product_id=event.product_id, version=event.version)


@replayable
@batched
def on_stock_changed(events: Sequence[StockChanged]) -> None:
    services.store_stock(changes=events)


def on_order_confirmed(event: OrderConfirmed) -> None:
    quantities: Counter[UUID] = Counter()
    for line in event.lines:
        quantities[line.variant_id] += line.quantity
    services.subtract_ordered(
        order_id=event.order_id,
        cart_id=event.cart_id,
        user_id=event.user_id,
        quantities=quantities,
        codes=event.coupon_codes,
    )


def on_order_cancelled(event: OrderCancelled) -> None:
    services.give_uses_back(order_id=event.order_id)


def on_user_erased(event: UserErased) -> None:
    services.erase_user(user_id=event.user_id)


EVENT_HANDLERS: EventHandlers = {
    ProductPublished: on_product,
    ProductUpdated: on_product,
    ProductArchived: on_product_archived,
    StockChanged: on_stock_changed,
    OrderConfirmed: on_order_confirmed,
    OrderCancelled: on_order_cancelled,
    UserErased: on_user_erased,
}

READ_MODELS: ReadModels = {"products": services.rebuild_products}
