"""The steps of an order's life. Each changes one order whose row the caller has locked, and publishes its event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from orders.exceptions import OrderNotCancellable
from orders.models import (
    FulfillmentStatus,
    Order,
    OrderLine,
    OrderPayment,
    OrderStatus,
    PaymentState,
    PaymentStatus,
)
from orders.services import refunds
from orders.services.history import note
from shared_lib.contracts.events import OrderCancelled, OrderConfirmed
from shared_lib.contracts.events import OrderLine as LineMessage
from shared_lib.events import publish
from shared_lib.money import Money


def confirm(order: Order, payment: OrderPayment) -> None:
    """The money of an order that waited for it is there."""
    order.go("confirm")
    order.payment_status = PaymentStatus.PAID
    _stop_clock(order)
    order.save(update_fields=["status", "version", "payment_status", *_CLOCK, "updated_at"])
    note(order)
    publish(OrderConfirmed(**state_of(order), payment_id=payment.id), subject=order.id)


def cancel(order: Order, *, reason: str, who: UUID | None) -> None:
    """Ends the order. An unpaid one must have no payment any more that could still succeed.

    The money of a confirmed one goes back by a refund, its stock by the event. Raises `OrderNotCancellable`.
    """
    if order.fulfillment_status != FulfillmentStatus.UNFULFILLED and order.status == OrderStatus.CONFIRMED:
        raise OrderNotCancellable("A part of it has been shipped.")
    was_confirmed = order.status == OrderStatus.CONFIRMED
    order.go("cancel")
    _stop_clock(order)
    order.save()
    note(order, reason=reason, who=who)
    publish(OrderCancelled(**state_of(order), reason=reason, was_confirmed=was_confirmed), subject=order.id)
    if was_confirmed:
        for payment in OrderPayment.objects.filter(order=order, status=PaymentState.SUCCEEDED):
            refunds.request_rest(order, payment, reason="order_cancelled")


def state_of(
    order: Order, lines: Iterable[OrderLine] | Mapping[OrderLine, int] | None = None
) -> dict[str, Any]:
    """The fields that every event of an order has. Lines that are at hand save a query; with quantities, only these."""
    if lines is None:
        told = ("variant_id", "product_id", "seller_id", "quantity", "unit_price_amount")
        lines = OrderLine.objects.filter(order=order).order_by("position").only(*told)
    quantities = lines if isinstance(lines, Mapping) else {line: line.quantity for line in lines}
    return {
        "version": order.version,
        "order_id": order.id,
        "number": order.number,
        "user_id": order.user_id,
        "cart_id": order.cart_id,
        "cart_version": order.cart_version,
        "total": Money(order.total_amount, order.currency),
        "coupon_codes": order.coupon_codes,
        "lines": [line_message(line, order.currency, quantity) for line, quantity in quantities.items()],
    }


def line_message(line: OrderLine, currency: str, quantity: int) -> LineMessage:
    return LineMessage(
        line_id=line.id,
        variant_id=line.variant_id,
        product_id=line.product_id,
        seller_id=line.seller_id,
        quantity=quantity,
        unit_price=Money(line.unit_price_amount, currency),
    )


_CLOCK = ("close_at", "close_reason", "close_wanted_by")


def _stop_clock(order: Order) -> None:
    order.close_at = None
    order.close_reason = ""
    order.close_wanted_by = None
