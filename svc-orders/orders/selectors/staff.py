"""What staff sees of all orders, and a seller of those with lines of their own, once they are paid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Prefetch

from orders.models import Order, OrderHistory, OrderLine, OrderQuerySet, OrderStatus, Refund, Return
from orders.selectors.orders import complete, line_document, order_document, shipment_document, time_of
from orders.selectors.returns import WHOLE_REFUNDS, WHOLE_RETURNS, refund_document, return_document
from shared_lib.auth.users import TokenUser
from shared_lib.exceptions import NotFound


def orders_for(user: TokenUser, filters: Mapping[str, Any]) -> OrderQuerySet:
    """Orders with all that `staff_document` needs, newest first.

    `filters` are look-ups of `Order`, and `seller_id`, `refund_status`, `return_status` for orders that have such a line,
    refund or return.
    """
    values = dict(filters)
    orders = _visible(user)
    for name, field, rows in (
        ("seller_id", "seller_id", OrderLine.objects.all()),
        ("refund_status", "status", Refund.objects.all()),
        ("return_status", "status", Return.objects.all()),
    ):
        if name in values:
            orders = orders.filter(Exists(rows.filter(**{field: values.pop(name)}, order=OuterRef("pk"))))
    return _whole(orders.filter(**values).order_by("-created_at", "-id"))


def get_order_for(user: TokenUser, order_id: UUID) -> Order:
    """Raises `NotFound`."""
    order = _whole(_visible(user)).filter(pk=order_id).first()
    if order is None:
        raise NotFound("There is no such order.")
    return order


def staff_document(order: Order, user: TokenUser) -> dict[str, Any]:
    """All of the order for staff. A seller sees their own lines and parcels, where to send them, and no money but prices."""
    return _for_staff(order) if user.is_staff else _for_seller(order, user.id)


def _visible(user: TokenUser) -> OrderQuerySet:
    orders = Order.objects.placed()
    if user.is_staff:
        return orders
    own = OrderLine.objects.filter(order=OuterRef("pk"), seller_id=user.id)
    confirmed = OrderHistory.objects.filter(order=OuterRef("pk"), status=OrderStatus.CONFIRMED)
    return orders.filter(Exists(own), Exists(confirmed))


def _whole(orders: OrderQuerySet) -> OrderQuerySet:
    return complete(orders).prefetch_related(
        Prefetch("refunds", WHOLE_REFUNDS.order_by("id")), Prefetch("returns", WHOLE_RETURNS.order_by("id"))
    )


def _for_staff(order: Order) -> dict[str, Any]:
    return {
        **order_document(order),
        "lines": [_line(line, order.currency) for line in order.lines.all()],
        "history": [
            {
                "status": row.status,
                "at": time_of(row.at),
                "reason": row.reason or None,
                "who": row.who,
            }
            for row in order.history.all()
        ],
        "user_id": order.user_id,
        "shipping_method": order.shipping_method,
        "refunds": [refund_document(refund) for refund in order.refunds.all()],
        "returns": [return_document(found) for found in order.returns.all()],
    }


def _for_seller(order: Order, seller_id: UUID) -> dict[str, Any]:
    own = [line for line in order.lines.all() if line.seller_id == seller_id]
    variants = {line.variant_id for line in own}
    parcels = [shipment_document(shipment) for shipment in order.shipments.all()]
    for parcel in parcels:
        parcel["lines"] = [row for row in parcel["lines"] if row["variant_id"] in variants]
    return {
        "id": order.id,
        "number": order.number,
        "status": order.status,
        "fulfillment_status": order.fulfillment_status,
        "lines": [_line(line, order.currency) for line in own],
        "shipping_address": order.shipping_address,
        "shipping_method": order.shipping_method,
        "created_at": time_of(order.created_at),
        "shipments": [parcel for parcel in parcels if parcel["lines"]],
    }


def _line(line: OrderLine, currency: str) -> dict[str, Any]:
    return {
        **line_document(line, line.unit_price_amount, line.discount_amount, currency),
        "seller_id": line.seller_id,
        "shipped_quantity": line.shipped_quantity,
    }
