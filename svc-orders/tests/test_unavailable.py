"""Another service is away: a clear 503 that says when to come again, and nothing left behind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from orders.models import CheckoutSaga, Order
from shared_lib.observability import context
from tests.conftest import Buyer
from tests.invariants import assert_nothing_is_lost
from tests.shop import Shop

COUPON = {"code": "TEN", "kind": "percent", "basis_points": 1000}


@pytest.fixture(autouse=True)
def _no_deadline_is_left() -> Iterator[None]:
    yield
    context.begin()


@pytest.fixture
def body(buyer: Buyer, shop: Shop) -> dict[str, Any]:
    """A checkout that needs every service."""
    shop.fill_cart(buyer.id, (buyer.variant, 2), coupons=[COUPON])
    return {"address_id": str(shop.add_address(buyer.id)), "shipping_method": "standard"}


def _assert_come_again(response: Any) -> None:
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert (problem["code"], problem["status"]) == ("service_unavailable", 503)
    assert "svc-" not in str(problem)


@pytest.mark.parametrize("away", ["address", "cart", "reserve", "coupon", "pay"])
def test_a_checkout_says_when_to_come_again_and_then_succeeds(
    buyer: Buyer, shop: Shop, api: Any, body: dict[str, Any], away: str
):
    client = api.as_user(buyer.id)
    come_back = shop.take_away(away)

    _assert_come_again(client.post("/api/v1/orders", body, headers={"Idempotency-Key": "key-1"}))

    assert not Order.objects.placed().exists()
    assert CheckoutSaga.objects.get().step == "undone"
    assert (shop.stock[str(buyer.variant)], shop.coupon_uses) == (10, {})
    come_back()
    assert client.post("/api/v1/orders", body, headers={"Idempotency-Key": "key-1"}).status_code == 201
    assert_nothing_is_lost(shop)


@pytest.mark.parametrize("away", ["address", "cart", "variants"])
def test_a_quote_says_when_to_come_again(buyer: Buyer, shop: Shop, api: Any, body: dict[str, Any], away: str):
    shop.take_away(away)
    _assert_come_again(api.as_user(buyer.id).post("/api/v1/orders/quote", body))


def test_cancelling_and_paying_anew_say_when_to_come_again(buyer: Buyer, shop: Shop, api: Any):
    path = f"/api/v1/orders/{buyer.place()['id']}"
    client = api.as_user(buyer.id)
    shop.take_away("cancel")

    _assert_come_again(client.post(f"{path}/payments", {}, headers={"Idempotency-Key": "key-2"}))
    _assert_come_again(client.post(f"{path}/cancel"))


def test_orders_are_shown_while_every_other_service_is_away(buyer: Buyer, shop: Shop, api: Any):
    order_id = buyer.place()["id"]
    shop.calls.clear()
    client = api.as_user(buyer.id)

    assert client.get(f"/api/v1/orders/{order_id}").status_code == 200
    assert len(client.get("/api/v1/orders").json()["results"]) == 1
    assert client.get("/api/v1/orders/shipping-methods?country=GB").status_code == 200
    assert shop.calls == []


def test_the_deadline_of_the_request_is_handed_on_to_every_call(
    buyer: Buyer, api: Any, upstream: Any, body: dict[str, Any]
):
    deadline = f"{time.time() + 5:.3f}"
    headers = {"Idempotency-Key": "key-1", "X-Request-Deadline": deadline}

    assert api.as_user(buyer.id).post("/api/v1/orders", body, headers=headers).status_code == 201

    given = [float(call.headers["X-Request-Deadline"]) for call in upstream.calls]
    assert len(given) == 5
    assert all(abs(moment - float(deadline)) < 0.1 for moment in given)


def test_when_the_time_is_up_no_further_call_is_made(
    buyer: Buyer, shop: Shop, api: Any, body: dict[str, Any]
):
    shop.after["cart"].append(lambda request: time.sleep(0.3))
    headers = {"Idempotency-Key": "key-1", "X-Request-Deadline": f"{time.time() + 0.25:.3f}"}

    _assert_come_again(api.as_user(buyer.id).post("/api/v1/orders", body, headers=headers))

    assert shop.calls == ["address", "cart"]
    assert not Order.objects.placed().exists()
