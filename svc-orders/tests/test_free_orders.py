"""Orders that cost nothing: there is nothing to pay, so they are confirmed at once."""

from __future__ import annotations

from typing import Any

import pytest

from orders import services
from orders.exceptions import OrderNotPayable, OrderNotRefundable
from orders.models import CheckoutSaga, Order, OrderPayment, Refund
from shared_lib.contracts.events import OrderCancelled, OrderConfirmed, OrderPlaced
from shared_lib.failpoints import Hit
from shared_lib.ids import uuid7
from shared_lib.testing.failpoints import armed
from tests.conftest import Buyer
from tests.crashes import let_lease_run_out, let_time_pass
from tests.invariants import assert_nothing_is_lost
from tests.messages import payment_canceled
from tests.shop import ADDRESS, Shop

COUPONS: list[dict[str, Any]] = [
    {"code": "ALL", "kind": "percent", "basis_points": 10_000},
    {"code": "SHIP", "kind": "free_shipping"},
]
STAFF = uuid7()


@pytest.fixture
def lucky(buyer: Buyer, shop: Shop) -> Buyer:
    """A buyer of two whose coupons take all of it."""
    shop.fill_cart(buyer.id, (buyer.variant, 2), coupons=COUPONS)
    return buyer


def test_it_is_confirmed_with_the_answer(lucky: Buyer, shop: Shop, published: Any):
    answer = lucky.place()

    assert {answer[name]["amount"] for name in ("total", "shipping", "tax", "tax_included")} == {0}
    assert answer["discount"] == answer["subtotal"]
    assert (answer["status"], answer["payment_status"]) == ("confirmed", "paid")
    assert (answer["payment"]["status"], answer["payment"]["action"]) == ("succeeded", None)
    assert [row["status"] for row in answer["history"]] == ["awaiting_payment", "confirmed"]
    [placed], [confirmed] = published(OrderPlaced), published(OrderConfirmed)
    assert (placed.version, confirmed.version) == (1, 2)
    assert str(confirmed.payment_id) == answer["payment"]["id"]
    assert shop.coupon_uses == {answer["id"]: {"ALL", "SHIP"}}
    assert_nothing_is_lost(shop)


def test_the_same_key_gets_the_same_answer_and_the_order_shows_the_same(lucky: Buyer, api: Any):
    first = lucky.place("key-1")
    assert lucky.place("key-1") == first
    shown = api.as_user(lucky.id).get(f"/api/v1/orders/{first['id']}").json()
    assert shown == first
    assert Order.objects.placed().count() == 1


def test_a_quote_says_that_it_costs_nothing(lucky: Buyer, api: Any):
    body = {"shipping_address": ADDRESS, "shipping_method": "standard"}
    quote = api.as_user(lucky.id).post("/api/v1/orders/quote", body).json()
    assert quote["total"] == {"amount": 0, "currency": "USD"}


def test_it_takes_no_other_payment_and_has_no_money_to_give_back(lucky: Buyer):
    order_id = lucky.place()["id"]
    with pytest.raises(OrderNotPayable):
        services.start_payment(order_id=order_id, user_id=lucky.id, payment_id=uuid7(), provider=None)
    with pytest.raises(OrderNotRefundable):
        services.refund_order(order_id=order_id, who=STAFF)


def test_it_can_be_cancelled_and_sent_back_without_any_refund(lucky: Buyer, shop: Shop, published: Any):
    order_id = lucky.place()["id"]
    services.ship_order(order_id=order_id, who=STAFF, carrier="DHL", tracking_number="1")
    services.deliver_order(order_id=order_id, who=STAFF)
    found = services.request_return(
        order_id=order_id, user_id=lucky.id, lines={lucky.variant: 2}, reason="no"
    )
    services.approve_return(return_id=found.id, who=STAFF)
    assert services.receive_return(return_id=found.id, who=STAFF, restock=True).refund is None
    assert lucky.order().fulfillment_status == "returned"

    shop.fill_cart(
        lucky.id, (lucky.variant, 1), coupons=[{**each, "code": f"2{each['code']}"} for each in COUPONS]
    )
    second = lucky.place("key-2")["id"]
    services.cancel_order(order_id=second, who=lucky.id)
    [event] = published(OrderCancelled)
    assert event.was_confirmed
    assert not Refund.objects.exists()


def test_it_has_an_invoice(lucky: Buyer, api: Any):
    order_id = lucky.place()["id"]
    answer = api.as_user(lucky.id).get(f"/api/v1/orders/{order_id}/invoice")
    assert answer.status_code == 200
    assert answer.content.startswith(b"%PDF")


@pytest.mark.parametrize(
    "place", ["checkout.create_payment.after", "checkout.place.before", "checkout.place.inside"]
)
def test_a_checkout_that_dies_is_resumed_or_undone(lucky: Buyer, shop: Shop, deliver: Any, place: str):
    with armed(place), pytest.raises(Hit):
        lucky.place("key-1")
    assert not Order.objects.placed().exists()
    let_time_pass()
    services.settle_checkouts()

    assert CheckoutSaga.objects.get().step == "undone"
    [payment] = shop.payments.values()
    assert payment["status"] == "canceled"
    deliver(payment_canceled(payment))
    assert not OrderPayment.objects.exclude(status="canceled").exists()
    assert_nothing_is_lost(shop)

    assert lucky.place("key-2")["status"] == "confirmed"


def test_the_retry_goes_on_with_the_same_payment(lucky: Buyer, shop: Shop):
    with armed("checkout.place.inside"), pytest.raises(Hit):
        lucky.place("key-1")
    let_lease_run_out()
    answer = lucky.place("key-1")
    assert answer["status"] == "confirmed"
    assert list(shop.payments) == [answer["payment"]["id"]]
