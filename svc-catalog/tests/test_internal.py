"""api.internal: what svc-cart and svc-orders call, decoded with their contracts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from catalog.models import Product, Reservation, Variant
from catalog.selectors import internal as selectors
from shared_lib.contracts.internal import catalog as contract
from shared_lib.money import Money
from tests.factories import SELLER, make_category, make_product, new_id, variant_of
from tests.orders import sell_reservation

pytestmark = pytest.mark.django_db

RESERVATIONS = "/internal/v1/reservations"


def asked(order_id: object, *wanted: tuple[Variant, int]) -> dict[str, object]:
    return {
        "order_id": str(order_id),
        "lines": [{"variant_id": str(variant.pk), "quantity": quantity} for variant, quantity in wanted],
    }


# Variants


def test_variants_are_told_as_they_are_now(
    internal: Any, settings: Any, django_assert_num_queries: Any
) -> None:
    product = make_product(
        slug="shirt",
        name="Linen Shirt",
        category=make_category("shirts"),
        prices=[2500],
        stock=[4],
        variants=[{"color": "Red"}],
        thumbnail="a/1-t.jpg",
        version=7,
    )
    variant = variant_of(product)
    other = variant_of(make_product())
    client = internal("svc-cart")

    with django_assert_num_queries(1):
        answer = client.get(f"/internal/v1/variants?ids={variant.pk},{new_id()},{other.pk}")

    assert answer.status_code == 200
    told = {
        each.variant_id: each
        for each in msgspec.json.decode(answer.content, type=contract.VariantList).results
    }
    assert set(told) == {variant.pk, other.pk}
    assert told[variant.pk] == contract.Variant(
        variant_id=variant.pk,
        product_id=product.pk,
        seller_id=SELLER,
        sku=variant.sku,
        name="Linen Shirt (Red)",
        product_slug="shirt",
        category="shirts",
        unit_price=Money(2500, "USD"),
        weight_grams=500,
        available=4,
        product_version=7,
        stock_version=1,
        thumbnail=f"{settings.MEDIA_URL}a/1-t.jpg",
    )
    assert told[other.pk].thumbnail is None


def test_what_is_not_for_sale_is_left_out(internal: Any) -> None:
    draft, removed = variant_of(make_product(status=Product.Status.DRAFT)), variant_of(make_product())
    removed.soft_delete()

    answer = internal("svc-orders").get(f"/internal/v1/variants?ids={draft.pk},{removed.pk}")

    assert answer.json() == {"results": []}


@pytest.mark.parametrize("ids", ["x", ",".join(str(new_id()) for _ in range(101))])
def test_ids_that_are_not_valid_are_refused(internal: Any, ids: Any) -> None:
    assert internal("svc-cart").get(f"/internal/v1/variants?ids={ids}").status_code == 422


# Snapshot


def test_the_snapshot_has_every_published_product_once(
    internal: Any, monkeypatch: Any, settings: Any
) -> None:
    monkeypatch.setattr(selectors, "SNAPSHOT_PAGE_SIZE", 2)
    products = [make_product(stock=[1, 2], variants=[{"color": "Red"}, {"color": "Blue"}]) for _ in range(5)]
    make_product(status=Product.Status.ARCHIVED)
    client = internal("svc-cart")

    seen: list[contract.SnapshotProduct] = []
    cursor = ""
    while True:
        answer = client.get(f"/internal/v1/products?cursor={cursor}")
        page = msgspec.json.decode(answer.content, type=contract.ProductPage)
        seen += page.results
        if page.next is None:
            break
        cursor = page.next

    assert {product.product_id for product in seen} == {product.pk for product in products}
    assert len(seen) == 5
    one = next(product for product in seen if product.product_id == products[0].pk)
    assert [(variant.available, variant.stock_version, variant.attributes) for variant in one.variants] == [
        (1, 1, {"color": "Red"}),
        (2, 1, {"color": "Blue"}),
    ]
    assert (one.version, one.slug, one.category) == (1, products[0].slug, products[0].category.slug)


def test_a_cursor_that_is_not_valid_is_refused(internal: Any) -> None:
    assert internal("svc-cart").get("/internal/v1/products?cursor=x").status_code == 422


# Reservations


def test_a_reservation_is_made_repeated_and_undone(internal: Any, stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[3], prices=[2500]))
    order_id = new_id()
    orders = internal("svc-orders")

    made = orders.post(RESERVATIONS, asked(order_id, (variant, 2)))
    again = orders.post(RESERVATIONS, asked(order_id, (variant, 2)))

    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json() == again.json()
    reservation = msgspec.json.decode(made.content, type=contract.Reservation)
    assert (reservation.order_id, reservation.lines[0].unit_price) == (order_id, Money(2500, "USD"))
    assert stock_of(variant.pk) == (3, 2, 2)

    assert orders.delete(f"{RESERVATIONS}/{order_id}").status_code == 204
    assert orders.delete(f"{RESERVATIONS}/{order_id}").status_code == 204
    assert stock_of(variant.pk) == (3, 0, 3)
    closed = orders.post(RESERVATIONS, asked(order_id, (variant, 2)))
    assert (closed.status_code, closed.json()["code"]) == (409, "reservation_closed")


def test_undoing_what_was_never_reserved_leaves_a_tombstone(internal: Any) -> None:
    order_id = new_id()

    assert internal("svc-orders").delete(f"{RESERVATIONS}/{order_id}").status_code == 204

    assert Reservation.objects.get(pk=order_id).status == "released"


def test_what_is_sold_is_not_undone_by_the_draft(internal: Any) -> None:
    variant = variant_of(make_product(stock=[3]))
    order_id = new_id()
    orders = internal("svc-orders")
    orders.post(RESERVATIONS, asked(order_id, (variant, 2)))
    sell_reservation(order_id=order_id, order_version=2, lines=[])

    answer = orders.delete(f"{RESERVATIONS}/{order_id}")

    assert (answer.status_code, answer.json()["code"]) == (409, "reservation_closed")


def test_a_shortage_names_the_lines(internal: Any) -> None:
    few, plenty = variant_of(make_product(stock=[1])), variant_of(make_product(stock=[9]))

    answer = internal("svc-orders").post(RESERVATIONS, asked(new_id(), (plenty, 9), (few, 2)))

    assert (answer.status_code, answer.json()["code"]) == (409, "out_of_stock")
    assert msgspec.convert(answer.json()["lines"], list[contract.Shortage]) == [
        contract.Shortage(variant_id=few.pk, requested=2, available=1)
    ]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lines": []}, "lines"),
        ({"lines": [{"variant_id": str(new_id()), "quantity": 0}]}, "lines.0.quantity"),
        ({"lines": [{"variant_id": str(new_id()), "quantity": 2_000_000}]}, "lines.0.quantity"),
        ({"lines": [{"variant_id": "x", "quantity": 1}]}, "lines[0].variant_id"),
        ({"lines": [{"variant_id": str(new_id()), "quantity": 1}] * 101}, "lines"),
        ({"order_id": "x"}, "order_id"),
    ],
)
def test_a_request_that_is_not_valid_is_refused(internal: Any, change: Any, field: Any) -> None:
    body = asked(new_id(), (variant_of(make_product()), 1)) | change

    answer = internal("svc-orders").post(RESERVATIONS, body)

    assert answer.status_code == 422
    assert [error["field"].replace("[...]", "[0]") for error in answer.json()["errors"]] == [field]
    assert not Reservation.objects.exists()


# Who may


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("get", "/internal/v1/variants", {"svc-cart", "svc-orders"}),
        ("get", "/internal/v1/products", {"svc-cart"}),
        ("post", RESERVATIONS, {"svc-orders"}),
        ("delete", f"{RESERVATIONS}/{new_id()}", {"svc-orders"}),
    ],
)
def test_only_named_services_are_answered(
    internal: Any, api: Any, method: Any, path: Any, allowed: Any
) -> None:
    for caller in ("svc-accounts", "svc-cart", "svc-orders", "svc-payments", "svc-notifications"):
        status = getattr(internal(caller), method)(path).status_code
        assert (status == 403) is (caller not in allowed), (caller, status)
    assert getattr(api.anonymous(), method)(path).status_code == 401
    assert getattr(api.as_user(roles=("admin",)), method)(path).status_code == 401
