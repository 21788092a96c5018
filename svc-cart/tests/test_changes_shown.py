"""Prices and stock that changed since a line was put in are shown on the line."""

from __future__ import annotations

from typing import Any

import pytest

from cart.models import CartLine, Stock, Variant
from tests.factories import LineFactory, VariantFactory
from tests.messages import (
    PRODUCT_ID,
    VARIANT_ID,
    product_archived,
    product_published,
    product_updated,
    stock_changed,
)

pytestmark = pytest.mark.django_db

CART = "/api/v1/cart"


def usd(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}


def add(client: Any, variant_id: Any, quantity: int = 1, **headers: Any) -> Any:
    body = {"variant_id": str(variant_id), "quantity": quantity}
    return client.post(f"{CART}/lines", body, headers=headers)


def line_of(client: Any, **headers: Any) -> Any:
    (line,) = client.get(CART, headers=headers).json()["lines"]
    return line


def repriced(version: int, amount: int) -> tuple[str, dict[str, Any]]:
    variants = [{"variant_id": VARIANT_ID, "sku": "LAMP-W", "price": usd(amount)}]
    return product_updated(version=version, variants=variants)


@pytest.fixture
def filled(user: Any, deliver: Any) -> Any:
    """A user with two lamps at 25.00 in the cart; seven are in stock."""
    deliver(product_published(), stock_changed())
    add(user, VARIANT_ID, 2)
    return user


def test_a_price_that_changed_is_shown_beside_what_it_was(filled: Any, deliver: Any) -> None:
    assert line_of(filled)["price_changed"] is None
    deliver(repriced(2, 3000))
    line = line_of(filled)
    assert line["price_changed"] == {"from": usd(2500), "to": usd(3000)}
    assert (line["unit_price"], line["line_total"]) == (usd(3000), usd(6000))
    assert filled.get(CART).json()["total"] == usd(6000)


def test_a_price_that_came_back_is_no_change(filled: Any, deliver: Any) -> None:
    deliver(repriced(2, 3000))
    deliver(repriced(3, 2500))
    assert line_of(filled)["price_changed"] is None


@pytest.mark.parametrize("act", ["add", "change", "confirm"])
def test_who_touches_the_line_has_seen_the_new_price(filled: Any, deliver: Any, act: str) -> None:
    deliver(repriced(2, 3000))
    path = f"{CART}/lines/{line_of(filled)['id']}"
    version = filled.get(CART).json()["version"]
    match act:
        case "add":
            add(filled, VARIANT_ID)
        case "change":
            filled.patch(path, {"quantity": 1})
        case _:
            filled.patch(path, {"quantity": 2})
    assert line_of(filled)["price_changed"] is None
    assert filled.get(CART).json()["version"] == version + (act != "confirm")


def test_a_line_from_before_prices_were_remembered_shows_no_change(user: Any) -> None:
    line = LineFactory.create(cart__user_id=user.user_id, seen_amount=None)
    Variant.objects.filter(pk=line.variant_id).update(price_amount=1)
    assert line_of(user)["price_changed"] is None


def test_a_guest_who_signs_in_is_still_told_of_the_price_seen_as_a_guest(
    guest: Any, api: Any, deliver: Any
) -> None:
    deliver(product_published(), stock_changed())
    token = {"X-Cart-Token": add(guest, VARIANT_ID).headers["X-Cart-Token"]}
    deliver(repriced(2, 2000))
    user = api.as_user()
    user.post(f"{CART}/merge", headers=token)
    assert line_of(user)["price_changed"] == {"from": usd(2500), "to": usd(2000)}


def test_stock_that_runs_low_and_out_and_comes_back_is_shown(filled: Any, deliver: Any) -> None:
    seen = []
    for version, available in enumerate((7, 2, 1, 0, -1, 5), start=2):
        deliver(stock_changed(version=version, available=available))
        line = line_of(filled)
        seen.append((line["available"], line["availability"]))
    assert seen == [
        (7, "available"),
        (2, "available"),
        (1, "insufficient"),
        (0, "sold_out"),
        (0, "sold_out"),
        (5, "available"),
    ]
    assert line_of(filled)["quantity"] == 2


def test_a_product_that_was_archived_stays_on_its_line_and_may_be_taken_out(
    filled: Any, deliver: Any
) -> None:
    deliver(product_archived(version=2))
    line = line_of(filled)
    assert (line["availability"], line["available"], line["product"]["id"]) == ("not_sold", 0, PRODUCT_ID)
    assert (line["product"]["name"], line["unit_price"]) == ("Desk lamp", usd(2500))
    assert add(filled, VARIANT_ID).json()["code"] == "variant_not_found"
    refused = filled.patch(f"{CART}/lines/{line['id']}", {"quantity": 1})
    assert (refused.status_code, refused.json()["available"]) == (409, 0)
    assert filled.delete(f"{CART}/lines/{line['id']}").json()["lines"] == []


def test_a_variant_that_a_product_no_longer_has_is_not_sold(filled: Any, deliver: Any) -> None:
    deliver(product_updated(version=2, variants=[]))
    assert line_of(filled)["availability"] == "not_sold"


def test_a_variant_whose_stock_is_not_known_cannot_be_bought(user: Any) -> None:
    LineFactory.create(cart__user_id=user.user_id, variant=VariantFactory.create(stock=None))
    assert line_of(user)["availability"] == "sold_out"
    assert not Stock.objects.exists()
    assert CartLine.objects.get().quantity == 1
