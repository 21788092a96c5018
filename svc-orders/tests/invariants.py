"""What holds whenever nothing is under way any more, whatever happened before."""

from __future__ import annotations

from collections import Counter
from typing import Any

from orders.models import CheckoutSaga, Order, OrderPayment, OrderStatus, Refund, RefundStatus
from shared_lib.contracts.events import OrderCancelled, OrderConfirmed, OrderPlaced
from shared_lib.outbox.models import OutboxEvent
from tests.shop import Shop


def assert_nothing_is_lost(shop: Shop) -> None:
    """Orders, what the other services hold for them, and the events that were told of them fit together."""
    shop.hear_events()
    orders = {str(order.id): order for order in Order.objects.placed()}
    assert not CheckoutSaga.objects.filter(step__in=["started", "reserving", "undoing"]).exists()
    assert set(shop.reservations) <= set(orders), "stock is held for something that is no order"
    assert set(shop.coupon_uses) <= set(orders), "a coupon is used for something that is no order"
    for order in orders.values():
        _assert_money_fits(order, shop)
        held = str(order.id) in shop.reservations
        uses = shop.coupon_uses.get(str(order.id), set())
        assert uses == (set() if order.status == OrderStatus.CANCELLED else set(order.coupon_codes))
        assert held == (order.status != OrderStatus.CANCELLED), f"{order.status}: stock held is {held}"
    for payment in shop.payments.values():
        _assert_payment_has_a_place(payment, orders)
    told = Counter(
        (row.type, str(row.event.order_id))
        for row in OutboxEvent.objects.filter(type__startswith="order.")
        if isinstance(row.event, OrderPlaced | OrderConfirmed | OrderCancelled)
    )
    for order_id, order in orders.items():
        cancelled = order.status == OrderStatus.CANCELLED
        assert told[OrderPlaced.event_type, order_id] == 1
        assert told[OrderCancelled.event_type, order_id] == int(cancelled)
        confirmed = order.history.filter(status=OrderStatus.CONFIRMED, reason="").count()
        assert told[OrderConfirmed.event_type, order_id] == confirmed <= 1
    assert {order_id for _, order_id in told} <= set(orders), "an event of something that is no order"


def _assert_money_fits(order: Order, shop: Shop) -> None:
    paid = list(OrderPayment.objects.filter(order=order, status="succeeded"))
    if order.status in (OrderStatus.CONFIRMED, OrderStatus.SHIPPED, OrderStatus.DELIVERED):
        assert [payment.amount for payment in paid] == [order.total_amount]
    for payment in paid:
        assert shop.payments[str(payment.id)]["status"] == "succeeded"


def _assert_payment_has_a_place(payment: dict[str, Any], orders: dict[str, Order]) -> None:
    order = orders.get(str(payment["order_id"]))
    refunds = list(Refund.objects.filter(payment_id=payment["id"]))
    going_back = sum(refund.amount for refund in refunds if refund.status != RefundStatus.FAILED)
    failed = any(refund.status == RefundStatus.FAILED for refund in refunds)  # people see that one
    if payment["status"] == "succeeded":
        wanted = order is not None and order.status != OrderStatus.CANCELLED
        if wanted and order is not None and str(order.payment_id) == payment["id"]:
            return
        assert failed or going_back == payment["amount"]["amount"], (
            "money that nobody waits for does not go back"
        )
    elif payment["status"] != "canceled":
        assert order is not None, "a payment of something that is no order can be paid"
        assert str(order.payment_id) == payment["id"]
        assert order.status == OrderStatus.AWAITING_PAYMENT
