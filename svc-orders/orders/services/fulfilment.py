"""Shipping and delivery. An order leaves in as many parcels as its sellers make of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from orders.exceptions import LinesNotShippable, OrderNotShippable
from orders.models import (
    FulfillmentStatus,
    HistoryRemark,
    Order,
    OrderLine,
    OrderStatus,
    Shipment,
    ShipmentLine,
)
from orders.services.history import note
from orders.services.locks import lock_order
from orders.services.picking import pick
from orders.services.transitions import state_of
from shared_lib.contracts.events import OrderDelivered, OrderShipped
from shared_lib.events import publish
from shared_lib.exceptions import NotFound
from shared_lib.failpoints import around


@around("fulfilment.ship")
@transaction.atomic
def ship_order(
    *,
    order_id: UUID,
    who: UUID,
    carrier: str,
    tracking_number: str,
    lines: Mapping[UUID, int] | None = None,
    is_staff: bool = True,
    precondition: Callable[[Order], None] | None = None,
) -> Order:
    """A parcel leaves: `lines` (variant and quantity), by default all that is left. Who is not staff ships lines of their own.

    The order is `shipped` when nothing is left. Raises `NotFound` (for a seller also when no line is theirs),
    `OrderNotShippable`, `LinesNotShippable`.
    """
    order = lock_order(order_id)
    all_lines = list(OrderLine.objects.filter(order=order).order_by("position"))
    own = [line for line in all_lines if is_staff or line.seller_id == who]
    if not own:
        raise NotFound("There is no such order.")
    if precondition is not None:
        precondition(order)
    if order.status != OrderStatus.CONFIRMED:
        raise OrderNotShippable(f"The order is {order.status}.")
    parcel = pick(
        own, lines, {line.id: line.quantity - line.shipped_quantity for line in own}, LinesNotShippable
    )
    if not parcel:
        raise OrderNotShippable("All of it has been shipped.")
    _send(order, parcel, who=who, carrier=carrier, tracking_number=tracking_number)
    if all(line.shipped_quantity == line.quantity for line in all_lines):
        order.go("ship")
        order.fulfillment_status = FulfillmentStatus.FULFILLED
    else:
        order.bump()
        order.fulfillment_status = FulfillmentStatus.PARTIAL
    order.save()
    note(order, reason="" if order.status == OrderStatus.SHIPPED else HistoryRemark.PARTLY_SHIPPED, who=who)
    message = OrderShipped(**state_of(order, parcel), carrier=carrier, tracking_number=tracking_number)
    publish(message, subject=order.id)
    return order


def _send(
    order: Order, parcel: Mapping[OrderLine, int], *, who: UUID, carrier: str, tracking_number: str
) -> None:
    shipment = Shipment.objects.create(
        order=order, carrier=carrier, tracking_number=tracking_number, shipped_by=who
    )
    for line, quantity in parcel.items():
        line.shipped_quantity += quantity
    OrderLine.objects.bulk_update(list(parcel), ["shipped_quantity"])
    ShipmentLine.objects.bulk_create(
        [ShipmentLine(shipment=shipment, line=line, quantity=quantity) for line, quantity in parcel.items()]
    )


@around("fulfilment.deliver")
@transaction.atomic
def deliver_order(*, order_id: UUID, who: UUID, precondition: Callable[[Order], None] | None = None) -> Order:
    """Every parcel has arrived. Raises `NotFound`, `OrderNotDeliverable`."""
    order = lock_order(order_id)
    if precondition is not None:
        precondition(order)
    order.go("deliver")
    order.save()
    Shipment.objects.filter(order=order, delivered_at__isnull=True).update(delivered_at=timezone.now())
    note(order, who=who)
    publish(OrderDelivered(**state_of(order)), subject=order.id)
    return order
