"""What the catalog does when something happened."""

from __future__ import annotations

from catalog.services.gateway_cache import renew_gateway_cache
from catalog.services.reservations import cancel_reservation, sell_reservation, take_return
from shared_lib.contracts.events import (
    Event,
    OrderCancelled,
    OrderConfirmed,
    OrderReturnReceived,
    ProductArchived,
    ProductPublished,
    ProductUpdated,
    StockChanged,
)
from shared_lib.events import EventHandlers, replayable


def on_order_confirmed(event: OrderConfirmed) -> None:
    sell_reservation(order_id=event.order_id, order_version=event.version, lines=event.lines)


def on_order_cancelled(event: OrderCancelled) -> None:
    cancel_reservation(order_id=event.order_id, order_version=event.version)


def on_return_received(event: OrderReturnReceived) -> None:
    take_return(return_id=event.return_id, lines=event.lines)


@replayable
def on_catalog_changed(event: Event) -> None:
    renew_gateway_cache()


EVENT_HANDLERS: EventHandlers = {
    OrderConfirmed: on_order_confirmed,
    OrderCancelled: on_order_cancelled,
    OrderReturnReceived: on_return_received,
    ProductPublished: on_catalog_changed,
    ProductUpdated: on_catalog_changed,
    ProductArchived: on_catalog_changed,
    StockChanged: on_catalog_changed,
}
