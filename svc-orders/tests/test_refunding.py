"""Refunds that staff asks for: by line, by amount, all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orders import services
from orders.exceptions import (
    LinesNotRefundable,
    OrderNotRefundable,
    RefundExceedsPayment,
)
from orders.models import Order, Refund, RefundStatus
from shared_lib.exceptions import InvalidValue
from shared_lib.ids import uuid7
from shared_lib.money import Money
from tests.conftest import Buyer
from tests.messages import payment_refund_failed, payment_refunded, payment_succeeded
from tests.shop import ADDRESS, Shop

TEN = {"code": "TEN", "kind": "percent", "basis_points": 1000}


def _refund(buyer: Buyer, **values: Any) -> Refund:
    return services.refund_order(order_id=buyer.order().id, who=uuid7(), **values)


def test_a_refund_of_everything_is_what_was_paid(paid: Buyer, shop: Shop):
    refund = _refund(paid, remark="The buyer was unhappy.")

    assert (refund.amount, refund.reason, refund.note) == (4397, "staff", "The buyer was unhappy.")
    services.send_refund(refund.id)
    assert shop.refunds[str(refund.id)]["amount"]["amount"] == 4397
    assert paid.history()[-1] == ("confirmed", "refund_requested", refund.requested_by)
    with pytest.raises(OrderNotRefundable):
        _refund(paid)


def test_a_line_goes_back_at_what_it_cost_after_its_discount(buyer: Buyer, shop: Shop, deliver: Any):
    shop.fill_cart(buyer.id, (buyer.variant, 3), coupons=[TEN])
    buyer.place()  # 3 at 19.99 less 6.00
    deliver(payment_succeeded(shop.move_payment(buyer.order().payment_id, "succeeded")))

    amounts = [_refund(buyer, lines={buyer.variant: 1}).amount for _ in range(3)]

    assert amounts == [1799, 1799, 1799]
    with pytest.raises(LinesNotRefundable) as refusal:
        _refund(buyer, lines={buyer.variant: 1})
    assert refusal.value.extra["lines"][0]["left"] == 0


def test_added_tax_goes_back_with_its_line(buyer: Buyer, shop: Shop, api: Any, deliver: Any):
    address = {**ADDRESS, "country": "US"}
    body = {"shipping_address": address, "shipping_method": "express"}
    placed = api.as_user(buyer.id).post("/api/v1/orders", body, headers={"Idempotency-Key": "key-1"})
    deliver(payment_succeeded(shop.move_payment(buyer.order().payment_id, "succeeded")))

    assert placed.json()["tax"]["amount"] == 280
    assert [_refund(buyer, lines={buyer.variant: 1}).amount for _ in range(2)] == [2139, 2139]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    price=st.integers(1, 5000),
    discount=st.integers(0, 10_000),
    pieces=st.lists(st.integers(1, 4), min_size=1, max_size=5),
)
def test_piece_by_piece_a_line_comes_to_exactly_what_it_cost(
    make_buyer: Any, shop: Shop, deliver: Any, price: int, discount: int, pieces: list[int]
):
    buyer = make_buyer(shop.sell(price, stock=100), sum(pieces))
    coupon = {"code": f"C{uuid7()}", "kind": "percent", "basis_points": discount}
    shop.fill_cart(buyer.id, (buyer.variant, sum(pieces)), coupons=[coupon])
    buyer.place()
    order = Order.objects.get(user_id=buyer.id)
    deliver(payment_succeeded(shop.move_payment(order.payment_id, "succeeded")))
    cost = order.subtotal_amount - order.discount_amount

    back = 0
    for piece in pieces:
        try:
            back += _refund(buyer, lines={buyer.variant: piece}).amount
        except OrderNotRefundable:
            assert cost * sum(pieces) < sum(pieces) ** 2  # such a piece cost less than a cent
            return

    assert back == cost


def test_a_refund_by_amount_is_never_more_than_what_is_left(paid: Buyer):
    assert _refund(paid, amount=Money(4000, "USD")).amount == 4000
    with pytest.raises(RefundExceedsPayment) as refusal:
        _refund(paid, amount=Money(398, "USD"))
    assert refusal.value.extra["refundable"] == {"amount": 397, "currency": "USD"}
    with pytest.raises(RefundExceedsPayment):
        _refund(paid, lines={paid.variant: 1})
    with pytest.raises(InvalidValue):
        _refund(paid, amount=Money(1, "EUR"))
    assert _refund(paid).amount == 397


def test_nothing_goes_back_that_was_never_paid(buyer: Buyer):
    buyer.place()
    with pytest.raises(OrderNotRefundable):
        _refund(buyer)


def test_a_refund_that_failed_may_be_asked_for_again(paid: Buyer, shop: Shop, deliver: Any):
    first = _refund(paid, lines={paid.variant: 2})
    services.send_refund(first.id)
    payment = shop.move_payment(first.payment_id, "succeeded")
    deliver(payment_refund_failed(payment, refund_id=first.id, amount=first.amount))
    shop.refunds.clear()

    second = _refund(paid, lines={paid.variant: 2})

    assert (second.amount, second.status) == (first.amount, RefundStatus.PENDING)
    services.send_refund(second.id)
    assert list(shop.refunds) == [str(second.id)]


def test_the_order_shows_what_went_back_and_keeps_its_status(paid: Buyer, shop: Shop, deliver: Any):
    refund = _refund(paid, amount=Money(100, "USD"))
    payment = shop.move_payment(refund.payment_id, "succeeded")

    deliver(payment_refunded(payment, refund_id=refund.id, amount=100, total=100))

    assert (paid.order().status, paid.order().payment_status) == ("confirmed", "partially_refunded")


def test_refunds_through_the_api(paid: Buyer, api: Any):
    path = f"/api/v1/orders/{paid.order().id}/refund"
    staff = api.as_user(roles=("staff",))
    body = {"lines": [{"variant_id": str(paid.variant), "quantity": 1}], "reason": "broken"}
    key = {"Idempotency-Key": "refund-1"}

    assert staff.post(path, body).json()["code"] == "idempotency_key_required"
    first = staff.post(path, body, headers=key)
    again = staff.post(path, body, headers=key)

    assert first.status_code == again.status_code == 201
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.json() == again.json()
    assert Refund.objects.count() == 1
    document = first.json()
    assert (document["amount"]["amount"], document["status"], document["remark"]) == (
        1999,
        "pending",
        "broken",
    )
    assert document["lines"] == [
        {"variant_id": str(paid.variant), "quantity": 1, "amount": {"amount": 1999, "currency": "USD"}}
    ]
    both = staff.post(
        path, {**body, "amount": {"amount": 1, "currency": "USD"}}, headers={"Idempotency-Key": "refund-2"}
    )
    assert (both.status_code, both.json()["errors"][0]["code"]) == (422, "lines_or_amount")
    nothing = staff.post(
        path, {"amount": {"amount": 0, "currency": "USD"}}, headers={"Idempotency-Key": "refund-3"}
    )
    assert (nothing.status_code, nothing.json()["errors"][0]["code"]) == (422, "min_value")
    for roles in (("customer",), ("seller",)):
        assert api.as_user(paid.id, roles=roles).post(path, body, headers=key).status_code == 403
    shown = staff.get(f"/api/v1/orders/admin/{paid.order().id}").json()
    assert [refund["id"] for refund in shown["refunds"]] == [document["id"]]
    assert shown["history"][-1]["who"] == str(staff.user_id)


def test_staff_finds_orders_whose_refund_failed(paid: Buyer, shop: Shop, api: Any):
    shop.payments[str(paid.order().payment_id)]["status"] = "requires_payment_method"
    services.send_refund(_refund(paid).id)
    staff = api.as_user(roles=("staff",))

    listed = staff.get("/api/v1/orders/admin?refund_status=failed").json()

    assert [order["id"] for order in listed["results"]] == [str(paid.order().id)]
    [refund] = listed["results"][0]["refunds"]
    assert refund["status"] == "failed"
    assert "refund_exceeds_payment" in refund["error"]
    assert staff.get("/api/v1/orders/admin?refund_status=pending").json()["count"] == 0
