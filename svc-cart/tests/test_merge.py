"""POST /cart/merge: the guest's cart joins the user's, whatever state either is in."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from cart.models import Cart, CartLine, Stock
from cart.services import carts
from tests.factories import CartFactory, LineFactory, VariantFactory

pytestmark = pytest.mark.django_db

CART = "/api/v1/cart"


def add(client: Any, variant: Any, quantity: int, token: str | None = None) -> Any:
    headers = {"X-Cart-Token": token} if token else {}
    return client.post(
        f"{CART}/lines", {"variant_id": str(variant.pk), "quantity": quantity}, headers=headers
    )


def merge(client: Any, token: str | None) -> Any:
    return client.post(f"{CART}/merge", headers={"X-Cart-Token": token} if token is not None else {})


def quantities(cart: dict[str, Any]) -> dict[str, int]:
    return {line["variant_id"]: line["quantity"] for line in cart["lines"]}


def test_a_guest_who_signs_in_keeps_everything(guest: Any, user: Any) -> None:
    shared, only_guest, only_user = (VariantFactory.create() for _ in range(3))
    token = add(guest, shared, 2).headers["X-Cart-Token"]
    add(guest, only_guest, 1, token)
    add(user, shared, 3)
    version = add(user, only_user, 4).json()["version"]

    response = merge(user, token)

    assert response.status_code == 200
    assert quantities(response.json()) == {str(shared.pk): 5, str(only_guest.pk): 1, str(only_user.pk): 4}
    assert response.json()["version"] == version + 1
    assert response.json() == user.get(CART).json()


def test_a_user_without_a_cart_gets_the_lines_of_the_guest(guest: Any, user: Any, variant: Any) -> None:
    token = add(guest, variant, 2).headers["X-Cart-Token"]
    response = merge(user, token)
    assert quantities(response.json()) == {str(variant.pk): 2}
    assert response.json()["version"] == 1


def test_a_token_is_spent_by_the_merge(guest: Any, user: Any, api: Any, variant: Any) -> None:
    token = add(guest, variant, 2).headers["X-Cart-Token"]
    first = merge(user, token)
    assert merge(user, token).json() == first.json()
    assert merge(api.as_user(), token).json()["lines"] == []
    assert guest.get(CART, headers={"X-Cart-Token": token}).json()["lines"] == []
    assert add(guest, variant, 1, token).headers["X-Cart-Token"] != token
    assert Cart.objects.filter(user_id=None).count() == 1


@pytest.mark.parametrize("token", [None, "", "unknown", "ü" * 50, "x" * 5000, "' OR 1=1 --"])
def test_a_token_that_names_nothing_changes_nothing(user: Any, variant: Any, token: str | None) -> None:
    before = add(user, variant, 2).json()
    response = merge(user, token)
    assert response.status_code == 200
    assert response.json() == before


def test_a_merge_of_nothing_into_nothing_makes_no_cart(user: Any) -> None:
    assert merge(user, "unknown").json()["id"] is None
    assert not Cart.objects.exists()


def test_the_cart_of_another_user_cannot_be_taken(user: Any, api: Any, variant: Any) -> None:
    other = api.as_user()
    theirs = add(other, variant, 2).json()
    assert merge(user, theirs["id"]).json()["lines"] == []
    assert other.get(CART).json() == theirs


def test_quantities_are_clamped_to_the_stock(guest: Any, user: Any) -> None:
    variant = VariantFactory.create(stock__available=5)
    token = add(guest, variant, 4).headers["X-Cart-Token"]
    add(user, variant, 3)
    assert quantities(merge(user, token).json()) == {str(variant.pk): 5}


def test_quantities_are_clamped_to_the_limit(guest: Any, user: Any) -> None:
    variant = VariantFactory.create(stock__available=1000)
    token = add(guest, variant, 60).headers["X-Cart-Token"]
    add(user, variant, 70)
    assert quantities(merge(user, token).json()) == {str(variant.pk): 99}


def test_nothing_is_taken_from_what_the_user_had(guest: Any, user: Any) -> None:
    variant = VariantFactory.create(stock__available=10)
    token = add(guest, variant, 4).headers["X-Cart-Token"]
    before = add(user, variant, 6).json()
    Stock.objects.filter(variant=variant).update(available=2)
    response = merge(user, token)
    assert quantities(response.json()) == {str(variant.pk): 6}
    assert response.json()["version"] == before["version"]
    assert Cart.objects.count() == 1


def test_what_is_sold_out_or_not_sold_any_more_stays_behind(guest: Any, user: Any) -> None:
    sold_out, archived, fine = (VariantFactory.create() for _ in range(3))
    token = add(guest, sold_out, 1).headers["X-Cart-Token"]
    add(guest, archived, 1, token)
    add(guest, fine, 1, token)
    Stock.objects.filter(variant=sold_out).update(available=0)
    type(archived.product).objects.filter(pk=archived.product.pk).update(archived=True)
    assert quantities(merge(user, token).json()) == {str(fine.pk): 1}


def test_lines_beyond_the_hundredth_stay_behind(guest: Any, user: Any) -> None:
    lines = LineFactory.create_batch(99, cart=CartFactory.create(user_id=user.user_id))
    first, second = VariantFactory.create(), VariantFactory.create()
    token = add(guest, first, 1).headers["X-Cart-Token"]
    add(guest, second, 1, token)
    add(guest, lines[0].variant, 2, token)
    merged = quantities(merge(user, token).json())
    assert len(merged) == 100
    assert str(first.pk) in merged
    assert merged[str(lines[0].variant.pk)] == 3
    assert CartLine.objects.count() == 100


def test_a_merge_takes_a_bounded_number_of_queries(
    guest: Any, user: Any, django_assert_max_num_queries: Any
) -> None:
    for owner in (
        CartFactory.create(user_id=user.user_id),
        CartFactory.create(user_id=None, token_hash=b"x" * 32),
    ):
        LineFactory.create_batch(20, cart=owner)
    token = add(guest, VariantFactory.create(), 1).headers["X-Cart-Token"]
    mine = Cart.objects.exclude(token_hash=b"x" * 32).get(user_id=None)
    CartLine.objects.filter(cart__token_hash=b"x" * 32).update(cart=mine)
    with django_assert_max_num_queries(15):
        assert len(merge(user, token).json()["lines"]) == 41


def test_a_merge_needs_a_user(guest: Any, variant: Any) -> None:
    token = add(guest, variant, 1).headers["X-Cart-Token"]
    response = merge(guest, token)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"


class TestADatabaseThatCannotMergeNow:
    """Who signs in is never kept out by the cart."""

    @pytest.fixture
    def failing(self, monkeypatch: Any) -> Any:
        """`failing(n)`: the next n attempts end as a deadlock would end them, half-way through."""
        move_lines = carts._move_lines

        def make(times: int) -> list[None]:
            left = [None] * times

            def fail(guest: Cart, mine: Cart) -> bool:
                moved = move_lines(guest, mine)
                if left:
                    left.pop()
                    with connection.cursor() as cursor:
                        cursor.execute("SELECT 1 / 0")
                return moved

            monkeypatch.setattr(carts, "_move_lines", fail)
            return left

        return make

    def test_it_is_tried_again(self, guest: Any, user: Any, variant: Any, failing: Any) -> None:
        token = add(guest, variant, 2).headers["X-Cart-Token"]
        left = failing(1)
        assert quantities(merge(user, token).json()) == {str(variant.pk): 2}
        assert left == []

    def test_it_changes_nothing_and_the_token_stays_good(
        self, guest: Any, user: Any, variant: Any, failing: Any
    ) -> None:
        token = add(guest, variant, 2).headers["X-Cart-Token"]
        before = add(user, variant, 1).json()
        failing(2)
        response = merge(user, token)
        assert (response.status_code, response.json()) == (200, before)
        assert quantities(merge(user, token).json()) == {str(variant.pk): 3}
