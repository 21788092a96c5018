"""Coupons of the cart in quote and checkout."""

from __future__ import annotations

from typing import Any

import pytest

from orders import services
from orders.exceptions import CouponNotApplicable
from orders.models import CheckoutSaga, Order, OrderLine
from shared_lib.contracts.events import OrderCancelled, OrderPlaced
from shared_lib.exceptions import ServiceUnavailable
from tests.conftest import Buyer
from tests.crashes import let_time_pass
from tests.invariants import assert_nothing_is_lost
from tests.shop import ADDRESS, Shop

TEN = {"code": "TEN", "kind": "percent", "basis_points": 1000}
SHIP = {"code": "SHIP", "kind": "free_shipping"}
DEAR = {"code": "DEAR", "kind": "fixed", "amount": {"amount": 500, "currency": "USD"}} | {
    "minimum": {"amount": 100000, "currency": "USD"}
}


@pytest.fixture
def saver(buyer: Buyer, shop: Shop) -> Buyer:
    """A buyer of two at 19.99 and one at 10.01, with three coupons of which the last does not apply."""
    other = shop.sell(1001)
    shop.fill_cart(buyer.id, (buyer.variant, 2), (other, 1), coupons=[TEN, SHIP, DEAR])
    return buyer


def test_an_order_has_the_discount_of_its_coupons_and_uses_them(saver: Buyer, shop: Shop, published: Any):
    answer = saver.place()

    assert {name: answer[name]["amount"] for name in ("subtotal", "discount", "shipping", "total")} == {
        "subtotal": 4999,
        "discount": 500,
        "shipping": 0,
        "total": 4499,
    }
    assert answer["coupon_codes"] == ["TEN", "SHIP"]
    assert [line["discount"]["amount"] for line in answer["lines"]] == [400, 100]
    assert [line["line_total"]["amount"] for line in answer["lines"]] == [3998, 1001]
    assert shop.coupon_uses == {answer["id"]: {"TEN", "SHIP"}}
    assert shop.calls == ["cart", "reserve", "coupon", "coupon", "pay"]
    assert saver.payment()["amount"] == answer["total"]
    [event] = published(OrderPlaced)
    assert (event.coupon_codes, event.total.amount) == (["TEN", "SHIP"], 4499)
    rows = OrderLine.objects.order_by("position").values_list("discount_amount", "tax_amount")
    assert [row[0] for row in rows] == [400, 100]
    assert (
        sum(row[1] for row in rows) == 750
    )  # a sixth of 44.99, all of it on the lines: shipping costs nothing


def test_a_quote_shows_the_same_totals_and_uses_nothing(saver: Buyer, shop: Shop, api: Any):
    body = {"shipping_address": ADDRESS, "shipping_method": "standard"}
    quote = api.as_user(saver.id).post("/api/v1/orders/quote", body).json()
    assert shop.coupon_uses == {}

    answer = saver.place()

    del quote["cart_version"]
    assert quote == {name: answer[name] for name in quote}


def test_a_coupon_that_was_used_up_meanwhile_is_told_to_the_buyer(saver: Buyer, shop: Shop, api: Any):
    shop.coupon_uses["another order"] = {"SHIP"}
    client = api.as_user(saver.id)
    body = {"shipping_address": ADDRESS, "shipping_method": "standard"}

    refused = client.post("/api/v1/orders", body, headers={"Idempotency-Key": "key-1"})

    assert refused.status_code == 422
    problem = refused.json()
    assert (problem["code"], problem["coupon"], problem["reason"]) == (
        "coupon_not_applicable",
        "SHIP",
        "limit_reached",
    )
    assert shop.coupon_uses == {"another order": {"SHIP"}}
    assert shop.stock[str(saver.variant)] == 10
    assert "pay" not in shop.calls

    shop.carts[str(saver.id)]["coupons"] = [TEN]
    assert client.post("/api/v1/orders", body, headers={"Idempotency-Key": "key-1"}).status_code == 201


def test_a_checkout_that_fails_gives_its_coupons_back(saver: Buyer, shop: Shop):
    come_back = shop.take_away("pay")
    with pytest.raises(ServiceUnavailable):
        saver.place()
    come_back()

    assert shop.coupon_uses == {}
    assert shop.calls[-3:] == ["cancel", "coupons_back", "release"]
    saver.place()
    assert_nothing_is_lost(shop)


def test_coupons_that_cannot_be_given_back_at_once_are_given_back_later(saver: Buyer, shop: Shop):
    come_back = shop.take_away("coupons_back")
    shop.refuse_payments = "amount"
    with pytest.raises(Exception, match="Not here"):
        saver.place()
    saga = saver.saga()
    assert (saga.step, saga.undo_payment, saga.undo_coupons, saga.undo_reservation) == (
        "undoing",
        False,
        True,
        True,
    )

    come_back()
    let_time_pass()
    services.settle_checkouts()

    assert saver.saga().step == "undone"
    assert shop.coupon_uses == {}


def test_a_buyer_is_not_refused_for_good_what_an_earlier_checkout_has_not_given_back_yet(
    saver: Buyer, shop: Shop
):
    come_back = shop.take_away("coupons_back")
    shop.refuse_payments = "amount"
    with pytest.raises(Exception, match="Not here"):
        saver.place()
    shop.refuse_payments = ""

    with pytest.raises(ServiceUnavailable):
        saver.place()

    come_back()
    let_time_pass()
    services.settle_checkouts()
    assert saver.place()["coupon_codes"] == ["TEN", "SHIP"]
    assert_nothing_is_lost(shop)


def test_a_use_whose_answer_is_lost_is_given_back(saver: Buyer, shop: Shop):
    shop.lose_answer("coupon")
    with pytest.raises(ServiceUnavailable):
        saver.place()

    assert shop.coupon_uses == {}
    assert list(shop.closed_coupon_uses) == [str(saver.saga().order_id)]


def test_a_use_that_is_late_finds_the_checkout_closed(saver: Buyer, shop: Shop):
    def be_swept(request: Any) -> None:
        shop.before["coupon"].clear()
        let_time_pass()
        services.settle_checkouts()

    shop.before["coupon"].append(be_swept)
    with pytest.raises(ServiceUnavailable):
        saver.place()

    assert shop.coupon_uses == {}
    assert not Order.objects.placed().exists()


def test_a_new_order_of_the_cart_takes_over_the_coupons_of_the_unpaid_one(
    saver: Buyer, shop: Shop, published: Any
):
    first = saver.place()
    shop.fill_cart(saver.id, (saver.variant, 3))

    second = saver.place("key-2")

    assert [str(event.order_id) for event in published(OrderCancelled)] == [first["id"]]
    assert published(OrderCancelled)[0].coupon_codes == ["TEN", "SHIP"]
    assert shop.coupon_uses == {second["id"]: {"TEN", "SHIP"}}


def test_a_cart_without_coupons_asks_nobody_for_them(buyer: Buyer, shop: Shop):
    shop.take_away("pay")
    with pytest.raises(ServiceUnavailable):
        buyer.place()

    assert CheckoutSaga.objects.get().step == "undone"
    assert not {"coupon", "coupons_back"} & set(shop.calls)


def test_the_price_that_the_buyer_expects_is_the_one_with_coupons(saver: Buyer, shop: Shop, api: Any):
    body = {"shipping_address": ADDRESS, "shipping_method": "standard"}
    expected = {"expected_total": {"amount": 4999, "currency": "USD"}}
    client = api.as_user(saver.id)

    refused = client.post("/api/v1/orders", body | expected, headers={"Idempotency-Key": "key-1"})

    assert (refused.status_code, refused.json()["code"]) == (409, "price_changed")
    assert refused.json()["total"]["amount"] == 4499
    assert "coupon" not in shop.calls


def test_the_error_of_the_service_names_coupon_and_reason():
    error = CouponNotApplicable("Used up.", coupon="TEN", reason="limit_reached")
    assert error.extra == {"coupon": "TEN", "reason": "limit_reached"}
