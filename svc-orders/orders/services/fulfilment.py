"""Shipping and delivery."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from orders.models import FulfillmentStatus, Order, Shipment
from orders.services.history import note
from orders.services.locks import lock_order
from orders.services.transitions import state_of
from shared_lib.contracts.events import OrderDelivered, OrderShipped
from shared_lib.events import publish
from shared_lib.failpoints import around


@around("fulfilment.ship")
@transaction.atomic
def ship_order(
    *,
    order_id: UUID,
    who: UUID,
    carrier: str,
    tracking_number: str,
    precondition: Callable[[Order], None] | None = None,
) -> Order:
    """All lines of a confirmed order leave in one parcel. Raises `NotFound`, `OrderNotShippable`."""
    order = lock_order(order_id)
    if precondition is not None:
        precondition(order)
    order.go("ship")
    order.fulfillment_status = FulfillmentStatus.FULFILLED
    order.save()
    Shipment.objects.create(order=order, carrier=carrier, tracking_number=tracking_number, shipped_by=who)
    note(order, who=who)
    publish(
        OrderShipped(**state_of(order), carrier=carrier, tracking_number=tracking_number),
        subject=order.id,
    )
    return order


@around("fulfilment.deliver")
@transaction.atomic
def deliver_order(*, order_id: UUID, who: UUID, precondition: Callable[[Order], None] | None = None) -> Order:
    """The parcel has arrived. Raises `NotFound`, `OrderNotDeliverable`."""
    order = lock_order(order_id)
    if precondition is not None:
        precondition(order)
    order.go("deliver")
    order.save()
    Shipment.objects.filter(order=order, delivered_at__isnull=True).update(delivered_at=timezone.now())
    note(order, who=who)
    publish(OrderDelivered(**state_of(order)), subject=order.id)
    return order
