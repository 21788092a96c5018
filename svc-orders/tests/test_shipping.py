"""Ways to ship: by country, weight and value."""

from __future__ import annotations

from typing import Any

import pytest

from orders.models import Order, ShippingMethod
from tests.conftest import Buyer
from tests.shop import ADDRESS, Shop

BODY = {"shipping_address": ADDRESS, "shipping_method": "standard"}
KEY = {"Idempotency-Key": "key-1"}


@pytest.mark.parametrize(
    ("grams", "price"),
    [(0, 399), (2000, 399), (2001, 549), (3000, 549), (3001, 699), (30_000, 399 + 28 * 150)],
)
def test_each_kilogram_begun_costs_more(grams: int, price: int):
    method = ShippingMethod(price_amount=399, included_grams=2000, kilogram_amount=150)
    assert method.price_of(goods=1, grams=grams) == price


def test_without_a_limit_any_weight_costs_the_same():
    method = ShippingMethod(price_amount=399, kilogram_amount=150)
    assert (method.price_of(goods=1, grams=10**6), method.takes(10**6)) == (399, True)


@pytest.mark.parametrize(("goods", "price"), [(4999, 399), (5000, 0), (5001, 0)])
def test_from_a_value_on_shipping_is_free(goods: int, price: int):
    method = ShippingMethod(price_amount=399, free_from_amount=5000, included_grams=1, kilogram_amount=0)
    assert method.price_of(goods=goods, grams=1) == price


@pytest.fixture
def heavy(buyer: Buyer, shop: Shop) -> Buyer:
    """A buyer of ten things of 250 g, to whom two kilograms are included."""
    shop.fill_cart(buyer.id, (buyer.variant, 10))
    ShippingMethod.objects.filter(country="GB").update(
        included_grams=2000, kilogram_amount=150, free_from_amount=50_000, max_grams=5000
    )
    return buyer


def test_quote_and_order_ship_for_the_weight_of_the_goods(heavy: Buyer, api: Any):
    client = api.as_user(heavy.id)
    quote = client.post("/api/v1/orders/quote", BODY).json()
    order = client.post("/api/v1/orders", BODY, headers=KEY).json()

    assert quote["shipping"]["amount"] == order["shipping"]["amount"] == 549
    assert order["total"] == quote["total"]
    assert order["total"]["amount"] == 19990 + 549


def test_what_is_too_heavy_does_not_go_that_way_and_nothing_stays_reserved(
    heavy: Buyer, shop: Shop, api: Any
):
    ShippingMethod.objects.update(max_grams=2499)
    client = api.as_user(heavy.id)
    for answer in (
        client.post("/api/v1/orders/quote", BODY),
        client.post("/api/v1/orders", BODY, headers=KEY),
    ):
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "shipping_method"
        assert answer.json()["errors"][0]["code"] == "too_heavy"
    assert shop.stock[str(heavy.variant)] == 10
    assert not Order.objects.placed().exists()


def test_the_list_is_for_a_weight_and_a_value(heavy: Buyer, api: Any):
    ShippingMethod.objects.create(
        country="GB", code="bike", name="Bike", price_amount=450, currency="USD", min_days=0, max_days=0
    )

    def prices(query: str = "") -> list[tuple[str, int]]:
        answer = api.anonymous().get(f"/api/v1/orders/shipping-methods?country=GB{query}")
        assert answer.status_code == 200
        return [(row["code"], row["price"]["amount"]) for row in answer.json()["results"]]

    assert prices() == [("standard", 399), ("bike", 450)]
    assert prices("&weight_grams=2500") == [("bike", 450), ("standard", 549)]
    assert prices("&weight_grams=5001") == [("bike", 450)]
    assert prices("&subtotal=50000") == [("standard", 0), ("bike", 450)]
    assert api.anonymous().get("/api/v1/orders/shipping-methods?country=GB&subtotal=x").status_code == 422
