"""GET and DELETE /cart, and lines: what a storefront sees."""

from __future__ import annotations

from typing import Any

import pytest

from cart.models import Cart, CartLine
from shared_lib.models import uuid7
from tests.factories import CartFactory, LineFactory, ProductFactory, VariantFactory

pytestmark = pytest.mark.django_db

CART = "/api/v1/cart"
LINES = "/api/v1/cart/lines"


def add(client: Any, variant: Any, quantity: int = 1, **headers: Any) -> Any:
    return client.post(LINES, {"variant_id": str(variant.pk), "quantity": quantity}, headers=headers)


def usd(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}


EMPTY: dict[str, Any] = {
    "id": None,
    "version": 0,
    "lines": [],
    "coupons": [],
    "subtotal": usd(0),
    "discount": usd(0),
    "total": usd(0),
}


def test_nobody_has_a_cart_before_the_first_line(user: Any, guest: Any) -> None:
    for client in (user, guest):
        response = client.get(CART)
        assert response.status_code == 200
        assert response.json() == EMPTY
        assert response.headers["Cache-Control"] == "private, no-store"
    assert not Cart.objects.exists()


def test_the_cart_shows_everything_from_the_read_model(user: Any, variant: Any) -> None:
    response = add(user, variant, 3)

    assert response.status_code == 201
    cart = Cart.objects.get()
    line = cart.lines.get()
    assert response.json() == {
        "id": str(cart.pk),
        "version": 1,
        "lines": [
            {
                "id": str(line.pk),
                "variant_id": str(variant.pk),
                "product": {
                    "id": str(variant.product.pk),
                    "slug": variant.product.slug,
                    "name": variant.product.name,
                    "thumbnail": "http://localhost:8080/media/lamp.webp",
                },
                "quantity": 3,
                "unit_price": usd(1999),
                "line_total": usd(5997),
                "available": 50,
                "availability": "available",
                "price_changed": None,
            }
        ],
        "coupons": [],
        "subtotal": usd(5997),
        "discount": usd(0),
        "total": usd(5997),
    }
    assert user.get(CART).json() == response.json()


@pytest.fixture(autouse=True)
def _public_base_url(settings: Any) -> None:
    settings.PUBLIC_BASE_URL = "http://localhost:8080"


def test_a_whole_url_of_a_thumbnail_is_left_alone_and_none_is_null(user: Any) -> None:
    pictures = ["https://cdn.example.com/lamp.webp", None]
    for picture in ("https://cdn.example.com/lamp.webp", ""):
        add(user, VariantFactory.create(product=ProductFactory.create(thumbnail=picture)))
    assert [line["product"]["thumbnail"] for line in user.get(CART).json()["lines"]] == pictures


def test_the_same_variant_adds_up_in_one_line(user: Any, variant: Any) -> None:
    add(user, variant, 2)
    response = add(user, variant, 3)
    assert response.status_code == 201
    assert [line["quantity"] for line in response.json()["lines"]] == [5]
    assert response.json()["version"] == 2


def test_lines_keep_the_order_in_which_they_came(user: Any) -> None:
    variants = [VariantFactory.create() for _ in range(4)]
    for variant in variants:
        add(user, variant)
    add(user, variants[0])
    assert [line["variant_id"] for line in user.get(CART).json()["lines"]] == [
        str(each.pk) for each in variants
    ]


def test_a_guest_gets_a_token_once_and_finds_the_cart_by_it(guest: Any, api: Any, variant: Any) -> None:
    first = add(guest, variant)
    token = first.headers["X-Cart-Token"]
    second = add(guest, variant, **{"X-Cart-Token": token})

    assert "X-Cart-Token" not in second.headers
    assert second.json()["id"] == first.json()["id"]
    assert api.anonymous().get(CART, headers={"X-Cart-Token": token}).json() == second.json()
    assert api.anonymous().get(CART).json() == EMPTY


def test_a_cart_token_is_stored_only_as_a_hash(guest: Any, variant: Any) -> None:
    token = add(guest, variant).headers["X-Cart-Token"]
    stored = bytes(Cart.objects.get().token_hash or b"")
    assert len(token) >= 43
    assert len(stored) == 32
    assert token.encode() not in stored


def test_a_guest_cannot_choose_the_token(guest: Any, variant: Any) -> None:
    for token in ("mine", "x" * 4000, "ünïcode"):
        response = add(guest, variant, 1, **{"X-Cart-Token": token})
        assert response.status_code == 201
        assert response.headers["X-Cart-Token"] != token
        assert guest.get(CART, headers={"X-Cart-Token": token}).json() == EMPTY


def test_a_bearer_token_wins_over_a_cart_token(guest: Any, user: Any, variant: Any) -> None:
    token = add(guest, variant).headers["X-Cart-Token"]
    response = add(user, variant, 2, **{"X-Cart-Token": token})
    assert "X-Cart-Token" not in response.headers
    assert response.json()["lines"][0]["quantity"] == 2
    assert guest.get(CART, headers={"X-Cart-Token": token}).json()["lines"][0]["quantity"] == 1


def test_a_bad_bearer_token_is_refused_even_with_a_good_cart_token(guest: Any, variant: Any) -> None:
    token = add(guest, variant).headers["X-Cart-Token"]
    response = guest.get(CART, headers={"X-Cart-Token": token, "Authorization": "Bearer nonsense"})
    assert response.status_code == 401
    assert response.json()["code"] == "invalid_token"


def test_more_than_there_is_in_stock_is_refused_with_what_there_is(user: Any) -> None:
    variant = VariantFactory.create(stock__available=4)
    add(user, variant, 3)
    response = add(user, variant, 2)
    assert response.status_code == 409
    assert response.json()["code"] == "insufficient_stock"
    assert response.json()["available"] == 4
    assert user.get(CART).json()["lines"][0]["quantity"] == 3


@pytest.mark.parametrize("quantity", [0, -1, 100, 2**31, "2.5", None, True, "many"])
def test_a_quantity_out_of_bounds_is_refused(user: Any, variant: Any, quantity: Any) -> None:
    response = user.post(LINES, {"variant_id": str(variant.pk), "quantity": quantity})
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["quantity"]
    assert not CartLine.objects.exists()


def test_a_line_that_grows_beyond_99_is_refused(user: Any) -> None:
    variant = VariantFactory.create(stock__available=500)
    add(user, variant, 60)
    response = add(user, variant, 40)
    assert response.status_code == 422
    assert response.json()["errors"] == [
        {"field": "quantity", "code": "max_value", "detail": "At most 99 of one variant."}
    ]


def test_a_line_beyond_the_hundredth_is_refused_but_the_others_can_grow(user: Any) -> None:
    cart = CartFactory.create(user_id=user.user_id)
    lines = LineFactory.create_batch(100, cart=cart)
    response = add(user, VariantFactory.create())
    assert response.status_code == 422
    assert response.json()["errors"][0]["code"] == "max_lines"
    assert add(user, lines[0].variant).status_code == 201


@pytest.mark.parametrize("body", [{}, {"quantity": 1}, {"variant_id": "lamp", "quantity": 1}, []])
def test_a_body_that_is_no_line_is_refused(user: Any, body: Any) -> None:
    response = user.post(LINES, body)
    assert response.status_code == 422
    assert response.headers["Content-Type"] == "application/problem+json"


def test_a_body_that_does_not_parse_is_a_400(user: Any) -> None:
    response = user.post(LINES, b"{", content_type="application/json")
    assert response.status_code == 400


def test_a_line_is_changed_and_removed(user: Any, variant: Any) -> None:
    line = add(user, variant).json()["lines"][0]
    path = f"{LINES}/{line['id']}"

    changed = user.patch(path, {"quantity": 7})
    assert changed.status_code == 200
    assert (changed.json()["version"], changed.json()["lines"][0]["quantity"]) == (2, 7)

    removed = user.delete(path)
    assert removed.status_code == 200
    assert (removed.json()["version"], removed.json()["lines"]) == (3, [])
    assert user.delete(path).json()["code"] == "line_not_found"


def test_a_change_that_changes_nothing_keeps_the_version(user: Any, variant: Any) -> None:
    line = add(user, variant, 2).json()["lines"][0]
    assert user.patch(f"{LINES}/{line['id']}", {"quantity": 2}).json()["version"] == 1


def test_a_line_cannot_be_raised_above_stock_or_limit(user: Any) -> None:
    line = add(user, VariantFactory.create(stock__available=5)).json()["lines"][0]
    path = f"{LINES}/{line['id']}"
    response = user.patch(path, {"quantity": 6})
    assert (response.status_code, response.json()["available"]) == (409, 5)
    assert user.patch(path, {"quantity": 100}).status_code == 422
    assert user.patch(path, {"quantity": 0}).status_code == 422


def test_lines_of_others_do_not_exist(user: Any, guest: Any, api: Any, variant: Any) -> None:
    token = add(guest, variant).headers["X-Cart-Token"]
    theirs = [add(api.as_user(), variant).json(), guest.get(CART, headers={"X-Cart-Token": token}).json()]
    for cart in theirs:
        path = f"{LINES}/{cart['lines'][0]['id']}"
        assert user.patch(path, {"quantity": 2}).status_code == 404
        assert user.delete(path).status_code == 404
        assert api.anonymous().delete(path).status_code == 404
    assert CartLine.objects.count() == 2


def test_emptying_keeps_the_cart_and_its_token(guest: Any, variant: Any) -> None:
    first = add(guest, variant)
    headers = {"X-Cart-Token": first.headers["X-Cart-Token"]}
    emptied = guest.delete(CART, headers=headers)
    assert emptied.status_code == 200
    assert emptied.json() == {**EMPTY, "id": first.json()["id"], "version": 2}
    assert guest.delete(CART, headers=headers).json()["version"] == 2
    assert add(guest, variant, **headers).json()["id"] == first.json()["id"]


def test_emptying_no_cart_is_fine(user: Any, guest: Any) -> None:
    assert user.delete(CART).json() == EMPTY
    assert guest.delete(CART).json() == EMPTY


def test_what_is_not_sold_any_more_is_still_shown_with_nothing_available(user: Any, variant: Any) -> None:
    line = add(user, variant, 2).json()["lines"][0]
    type(variant.product).objects.update(archived=True)

    shown = user.get(CART).json()["lines"][0]
    assert (shown["available"], shown["quantity"], shown["product"]["name"]) == (0, 2, variant.product.name)
    assert shown["availability"] == "not_sold"
    assert user.patch(f"{LINES}/{line['id']}", {"quantity": 1}).json()["available"] == 0
    assert add(user, variant).json()["code"] == "variant_not_found"


def test_a_change_meant_for_another_state_of_the_cart_is_refused(user: Any, variant: Any) -> None:
    empty = user.get(CART).headers["ETag"]
    first = add(user, variant, **{"If-Match": empty})
    assert first.status_code == 201
    tag = first.headers["ETag"]
    assert user.get(CART).headers["ETag"] == tag
    path = f"{LINES}/{first.json()['lines'][0]['id']}"

    assert user.patch(path, {"quantity": 3}, headers={"If-Match": tag}).status_code == 200
    for lost in (
        user.patch(path, {"quantity": 4}, headers={"If-Match": tag}),
        user.delete(path, headers={"If-Match": tag}),
        user.delete(CART, headers={"If-Match": tag}),
        add(user, variant, **{"If-Match": tag}),
    ):
        assert lost.status_code == 412
        assert lost.json()["code"] == "precondition_failed"
    assert user.get(CART).json()["lines"][0]["quantity"] == 3


def test_a_repeated_post_with_the_same_key_adds_once(user: Any, variant: Any) -> None:
    first = add(user, variant, 2, **{"Idempotency-Key": "k-1"})
    again = add(user, variant, 2, **{"Idempotency-Key": "k-1"})
    assert again.status_code == 201
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == first.json()
    assert user.get(CART).json()["lines"][0]["quantity"] == 2
    other = add(user, variant, 3, **{"Idempotency-Key": "k-1"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_showing_a_cart_takes_one_query_however_many_lines(user: Any, django_assert_num_queries: Any) -> None:
    cart = CartFactory.create(user_id=user.user_id)
    LineFactory.create_batch(30, cart=cart)
    with django_assert_num_queries(1):
        assert len(user.get(CART).json()["lines"]) == 30


def test_paths_that_are_no_uuid_do_not_exist(user: Any) -> None:
    assert user.patch(f"{LINES}/7", {"quantity": 1}).status_code == 404
    assert user.get(f"{LINES}/{uuid7()}").status_code == 405
