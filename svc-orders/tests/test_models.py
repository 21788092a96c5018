from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from orders.exceptions import OrderNotCancellable, OrderNotDeliverable, OrderNotPayable, OrderNotShippable
from orders.models import (
    ORDER_TRANSITIONS,
    CancelReason,
    CheckoutSaga,
    HistoryRemark,
    Order,
    OrderLine,
    OrderPayment,
    OrderStatus,
    Refund,
)
from shared_lib.ids import uuid7
from tests.factories import OrderFactory, ShippingMethodFactory

REFUSALS = {
    "place": OrderNotPayable,
    "confirm": OrderNotPayable,
    "cancel": OrderNotCancellable,
    "ship": OrderNotShippable,
    "deliver": OrderNotDeliverable,
}
ALLOWED = {
    ("draft", "place", "awaiting_payment"),
    ("awaiting_payment", "confirm", "confirmed"),
    ("awaiting_payment", "cancel", "cancelled"),
    ("confirmed", "cancel", "cancelled"),
    ("confirmed", "ship", "shipped"),
    ("shipped", "deliver", "delivered"),
}


@pytest.mark.parametrize("status", OrderStatus.values)
@pytest.mark.parametrize("name", ORDER_TRANSITIONS)
def test_every_transition_goes_where_the_contract_says_or_is_refused(status: str, name: str):
    order = Order(status=status, version=5)
    target = next((to for source, via, to in ALLOWED if (source, via) == (status, name)), None)

    if target is None:
        with pytest.raises(REFUSALS[name]):
            order.go(name)
        assert (order.status, order.version) == (status, 5)
    else:
        order.go(name)
        assert (order.status, order.version) == (target, 6)


def _refused(constraint: str, change: Any) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        change()


@pytest.mark.parametrize(
    ("constraint", "values"),
    [
        ("order_total_adds_up", {"total_amount": 1}),
        ("order_amounts_not_negative", {"discount_amount": -1, "total_amount": 2399}),
        ("order_numbered_unless_draft", {"number": None}),
        ("order_numbered_unless_draft", {"status": "draft"}),
        ("order_status_known", {"status": "lost"}),
        ("order_payment_status_known", {"payment_status": "maybe"}),
        ("order_unpaid_has_a_clock", {"close_at": None}),
        ("order_unpaid_has_a_clock", {"payment_status": "paid"}),
        ("order_confirmed_is_paid", {"status": "confirmed"}),
    ],
)
def test_the_database_refuses_an_order_that_cannot_be(db: None, constraint: str, values: dict[str, Any]):
    order = OrderFactory.create()

    _refused(constraint, lambda: Order.objects.filter(pk=order.pk).update(**values))


def test_the_database_refuses_lines_that_do_not_add_up(db: None):
    line = OrderFactory.create().lines.get()

    _refused(
        "orderline_total_adds_up", lambda: OrderLine.objects.filter(pk=line.pk).update(line_total_amount=1)
    )
    _refused("orderline_quantity_positive", lambda: OrderLine.objects.filter(pk=line.pk).update(quantity=0))


def test_an_order_has_one_open_payment(db: None):
    order = OrderFactory.create()

    def add(status: str) -> Any:
        return OrderPayment.objects.create(order=order, currency="USD", amount=1, status=status)

    _refused("orderpayment_one_open_an_order", lambda: add("creating"))
    add("canceled")


def test_no_more_can_be_refunded_than_was_paid(db: None):
    payment = OrderPayment.objects.get(order=OrderFactory.create())

    _refused(
        "orderpayment_refunded_within_amount",
        lambda: OrderPayment.objects.filter(pk=payment.pk).update(refunded_amount=2399),
    )
    _refused(
        "refund_amount_positive",
        lambda: Refund.objects.create(
            order=payment.order, payment_id=payment.id, currency="USD", amount=0, reason="x"
        ),
    )


def test_a_user_has_one_running_checkout_and_one_of_each_key(db: None):
    user_id = uuid7()

    def add(key: str, step: str) -> CheckoutSaga:
        order = Order.objects.create(user_id=user_id, currency="USD", version=0)
        return CheckoutSaga.objects.create(
            order=order,
            user_id=user_id,
            key=key,
            body_hash=b"",
            payment_id=uuid7(),
            leased_until=timezone.now(),
            deadline=timezone.now(),
            step=step,
            answer=b"{}" if step == "done" else None,
        )

    add("a", "done")
    add("b", "reserving")
    _refused("checkout_one_a_key", lambda: add("a", "done"))
    _refused("checkout_one_running_a_user", lambda: add("c", "started"))
    _refused("checkout_done_has_an_answer", lambda: CheckoutSaga.objects.filter(key="a").update(answer=None))


def test_a_country_has_each_shipping_method_once(db: None):
    ShippingMethodFactory.create()

    _refused("shippingmethod_one_code_a_country", ShippingMethodFactory.create)


def test_no_remark_of_the_history_is_also_a_reason_to_cancel():
    assert not set(HistoryRemark.values) & set(CancelReason.values)
