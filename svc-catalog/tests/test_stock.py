"""services.stock: every change of stock, and its door for sellers and staff."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from catalog.models import Product, Stock, StockMovement, Variant
from catalog.services.reservations import reserve
from catalog.services.stock import adjust_stock
from shared_lib.contracts.events import StockChanged, StockLow
from shared_lib.contracts.internal.catalog import ReservationLineRequest
from tests.factories import SELLER, make_product, new_id, variant_of

pytestmark = pytest.mark.django_db


def url_of(variant: Variant) -> str:
    return f"/api/v1/catalog/variants/{variant.pk}/stock"


def hold(variant: Variant, quantity: int) -> None:
    reserve(order_id=new_id(), lines=[ReservationLineRequest(variant_id=variant.pk, quantity=quantity)])


def test_a_seller_adds_to_the_stock_of_their_own_variant(api: Any, published: Any) -> None:
    variant = variant_of(make_product(stock=[3]))

    answer = api.as_user(SELLER, roles=("seller",)).post(url_of(variant), {"delta": 7, "reason": "delivery"})

    assert answer.status_code == 200
    assert answer.json() == {"variant_id": str(variant.pk), "on_hand": 10, "reserved": 0, "available": 10}
    movement = StockMovement.objects.get(variant=variant, stock_version=2)
    assert (movement.kind, movement.on_hand_delta, movement.reason, movement.actor_id) == (
        "adjusted",
        7,
        "delivery",
        SELLER,
    )
    [event] = published(StockChanged)
    assert (event.variant_id, event.version, event.available) == (variant.pk, 2, 10)


def test_staff_change_the_stock_of_any_variant(api: Any, stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[3]))

    answer = api.as_user(roles=("staff",)).post(url_of(variant), {"delta": -3, "reason": "lost"})

    assert answer.status_code == 200
    assert stock_of(variant.pk) == (0, 0, 2)


@pytest.mark.parametrize(("roles", "status"), [(("seller",), 404), (("customer",), 403)])
def test_nobody_else_changes_it(api: Any, stock_of: Any, roles: Any, status: Any) -> None:
    variant = variant_of(make_product(stock=[3]))

    answer = api.as_user(roles=roles).post(url_of(variant), {"delta": 1, "reason": "mine now"})

    assert answer.status_code == status
    assert stock_of(variant.pk) == (3, 0, 1)


def test_without_a_token_it_is_refused(api: Any) -> None:
    assert (
        api.anonymous().post(url_of(variant_of(make_product())), {"delta": 1, "reason": "x"}).status_code
        == 401
    )


def test_an_unknown_variant_is_not_found(api: Any) -> None:
    answer = api.as_user(roles=("staff",)).post(
        f"/api/v1/catalog/variants/{new_id()}/stock", {"delta": 1, "reason": "x"}
    )

    assert (answer.status_code, answer.json()["code"]) == (404, "variant_not_found")


def test_the_stock_never_falls_below_what_is_reserved(api: Any, stock_of: Any, published: Any) -> None:
    variant = variant_of(make_product(stock=[5]))
    hold(variant, 4)
    before = len(published(StockChanged))

    answer = api.as_user(roles=("staff",)).post(url_of(variant), {"delta": -2, "reason": "broken"})

    assert (answer.status_code, answer.json()["code"], answer.json()["available"]) == (
        409,
        "insufficient_stock",
        1,
    )
    assert stock_of(variant.pk) == (5, 4, 2)
    assert len(published(StockChanged)) == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reason": "x"}, "delta"),
        ({"delta": 1.5, "reason": "x"}, "delta"),
        ({"delta": True, "reason": "x"}, "delta"),
        ({"delta": 10**30, "reason": "x"}, "delta"),
        ({"delta": 1}, "reason"),
        ({"delta": 1, "reason": " "}, "reason"),
        ({"delta": 1, "reason": "x" * 501}, "reason"),
        ({"delta": 1, "reason": "a\0b"}, "reason"),
    ],
)
def test_a_body_that_is_not_valid_names_the_field(api: Any, stock_of: Any, body: Any, field: Any) -> None:
    variant = variant_of(make_product(stock=[5]))

    answer = api.as_user(roles=("staff",)).post(url_of(variant), body)

    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} == {field}
    assert stock_of(variant.pk) == (5, 0, 1)


def test_nothing_changes_by_nothing(api: Any, published: Any) -> None:
    variant = variant_of(make_product(stock=[5]))

    answer = api.as_user(roles=("staff",)).post(url_of(variant), {"delta": 0, "reason": "counted"})

    assert answer.json()["on_hand"] == 5
    assert not published(StockChanged)


def test_the_same_key_adds_once(api: Any, stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[5]))
    staff = api.as_user(roles=("staff",))

    answers = [
        staff.post(
            url_of(variant), {"delta": 2, "reason": "delivery"}, headers={"Idempotency-Key": "delivery-17"}
        )
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    assert answers[0].content == answers[1].content
    assert stock_of(variant.pk) == (7, 0, 2)


def test_stock_that_falls_to_the_threshold_is_told_once(published: Any, settings: Any) -> None:
    settings.STOCK_LOW_THRESHOLD = 5
    variant = variant_of(make_product(stock=[7]))

    for delta in (-1, -1, -1):
        adjust_stock(
            variant_id=variant.pk, delta=delta, reason="sold in the shop", actor_id=new_id(), seller_id=None
        )

    [event] = published(StockLow)
    assert (event.variant_id, event.seller_id, event.available, event.version) == (variant.pk, SELLER, 5, 3)


def test_the_product_knows_how_many_of_its_variants_are_in_stock() -> None:
    product = make_product(stock=[1, 4])

    def change(position: int, delta: int) -> int:
        adjust_stock(
            variant_id=variant_of(product, position).pk,
            delta=delta,
            reason="count",
            actor_id=new_id(),
            seller_id=None,
        )
        return Product.objects.values_list("variants_in_stock", flat=True).get(pk=product.pk)

    assert change(0, -1) == 1
    assert change(1, -3) == 1
    assert change(1, -1) == 0
    assert change(0, 9) == 1


def test_movements_are_never_changed_or_removed() -> None:
    variant_of(make_product())

    for change in (
        lambda: StockMovement.objects.update(reason="else"),
        lambda: StockMovement.objects.all().delete(),
    ):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            change()


@pytest.mark.parametrize(
    "levels", [{"on_hand": 1, "reserved": 2}, {"on_hand": -1, "reserved": 0}, {"on_hand": 1, "reserved": -1}]
)
def test_the_database_refuses_impossible_stock(levels: Any) -> None:
    variant = variant_of(make_product())

    with pytest.raises(IntegrityError), transaction.atomic():
        Stock.objects.filter(pk=variant.pk).update(**levels)
