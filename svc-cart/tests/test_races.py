"""Real threads, each with a connection of its own, on real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from cart import services
from cart.models import Cart, CartLine
from cart.selectors import Owner, hash_token, show_cart
from shared_lib.contracts.events import CartAbandoned, StockChanged
from shared_lib.models import uuid7
from shared_lib.testing.races import at_once
from tests.factories import CartFactory, LineFactory, VariantFactory

pytestmark = pytest.mark.django_db(transaction=True)


def test_first_lines_at_once_make_one_cart() -> None:
    owner = Owner.user(uuid7())
    variants = [VariantFactory.create() for _ in range(6)]

    def add(variant: Any) -> Callable[[], Any]:
        return lambda: services.add_line(owner=owner, variant_id=variant.pk, quantity=1)

    assert at_once(*[add(variant) for variant in variants]) == [None] * 6
    cart = show_cart(owner=owner)
    assert (Cart.objects.count(), len(cart.lines), cart.version) == (1, 6, 6)


def test_one_variant_added_at_once_adds_up_and_stops_at_the_stock() -> None:
    owner = Owner.user(uuid7())
    variant = VariantFactory.create(stock__available=5)
    results = at_once(
        *[lambda: services.add_line(owner=owner, variant_id=variant.pk, quantity=1) for _ in range(8)]
    )
    assert results.count(None) == 5
    assert {type(result).__name__ for result in results if result is not None} == {"InsufficientStock"}
    assert show_cart(owner=owner).lines[0].quantity == 5


def test_lines_at_once_stop_at_the_hundredth() -> None:
    user_id = uuid7()
    cart = CartFactory.create(user_id=user_id)
    LineFactory.create_batch(97, cart=cart)
    variants = [VariantFactory.create() for _ in range(6)]

    def add(variant: Any) -> Callable[[], Any]:
        return lambda: services.add_line(owner=Owner.user(user_id), variant_id=variant.pk, quantity=1)

    results = at_once(*[add(variant) for variant in variants])
    assert results.count(None) == 3
    assert cart.lines.count() == 100


def test_two_merges_of_one_token_move_it_once() -> None:
    variant = VariantFactory.create()
    token = services.add_line(owner=Owner(), variant_id=variant.pk, quantity=2)
    assert token is not None
    user_id = uuid7()
    merges = [lambda: services.merge_carts(user_id=user_id, token_hash=hash_token(token)) for _ in range(4)]
    assert at_once(*merges) == [None] * 4
    assert show_cart(owner=Owner.user(user_id)).lines[0].quantity == 2
    assert Cart.objects.count() == 1


def test_two_users_who_merge_one_token_do_not_both_get_it() -> None:
    variant = VariantFactory.create()
    token = services.add_line(owner=Owner(), variant_id=variant.pk, quantity=2)
    assert token is not None
    users = [uuid7(), uuid7(), uuid7()]

    def merge(user_id: Any) -> Callable[[], Any]:
        return lambda: services.merge_carts(user_id=user_id, token_hash=hash_token(token))

    assert at_once(*[merge(user_id) for user_id in users]) == [None] * 3
    assert sum(len(show_cart(owner=Owner.user(user_id)).lines) for user_id in users) == 1


def test_a_merge_while_lines_are_added_loses_nothing() -> None:
    variant = VariantFactory.create(stock__available=99)
    token = services.add_line(owner=Owner(), variant_id=variant.pk, quantity=5)
    assert token is not None
    owner = Owner.user(uuid7())
    services.add_line(owner=owner, variant_id=variant.pk, quantity=1)
    results = at_once(
        *[lambda: services.add_line(owner=owner, variant_id=variant.pk, quantity=1) for _ in range(4)],
        lambda: services.merge_carts(user_id=owner.user_id, token_hash=hash_token(token)),  # type: ignore[arg-type]
    )
    assert results == [None] * 5
    assert show_cart(owner=owner).lines[0].quantity == 10


def test_a_confirmed_order_and_an_addition_at_once_both_count() -> None:
    line = LineFactory.create(quantity=5)
    user_id = line.cart.user_id
    assert user_id is not None
    owner = Owner.user(user_id)
    results = at_once(
        lambda: services.subtract_ordered(
            order_id=uuid7(), cart_id=line.cart_id, user_id=user_id, quantities={line.variant_id: 5}
        ),
        *[lambda: services.add_line(owner=owner, variant_id=line.variant_id, quantity=1) for _ in range(3)],
    )
    assert results == [None] * 4
    assert show_cart(owner=owner).lines[0].quantity == 3


def test_older_and_newer_stock_at_once_leave_the_newest() -> None:
    variants = [VariantFactory.create(stock=None) for _ in range(3)]

    def store(version: int) -> Callable[[], Any]:
        changes = [
            StockChanged(version=version, variant_id=each.pk, product_id=each.product_id, available=version)
            for each in (variants if version % 2 else variants[::-1])
        ]
        return lambda: services.store_stock(changes=changes)

    assert at_once(*[store(version) for version in (3, 1, 8, 5, 2, 7)]) == [None] * 6
    for variant in variants:
        variant.refresh_from_db()
        assert (variant.stock.version, variant.stock.available) == (8, 8)


def test_a_task_that_runs_twice_at_once_tells_of_each_abandoned_cart_once(published: Any) -> None:
    carts = [LineFactory.create().cart for _ in range(5)]
    Cart.objects.update(updated_at=timezone.now() - timedelta(hours=30))
    now = timezone.now()

    def tell() -> int:
        return services.publish_abandoned_carts(
            unchanged_since=now - timedelta(hours=24), not_before=now - timedelta(days=7), limit=2
        )

    assert sum(at_once(*[tell] * 6)) <= 5
    while tell():
        pass
    assert sorted(event.cart_id for event in published(CartAbandoned)) == sorted(cart.pk for cart in carts)


def test_a_wish_moved_by_two_tabs_is_in_the_cart_once() -> None:
    user_id, variant = uuid7(), VariantFactory.create()
    item_id, _ = services.add_wish(user_id=user_id, variant_id=variant.pk)
    moves = [lambda: services.move_wish(user_id=user_id, item_id=item_id, quantity=1) for _ in range(4)]
    results = at_once(*moves)
    assert results.count(None) == 1
    assert {type(result).__name__ for result in results if result} == {"WishlistItemNotFound"}
    assert [line.quantity for line in show_cart(owner=Owner.user(user_id)).lines] == [1]


def test_a_guest_cart_in_use_does_not_expire() -> None:
    busy, idle = (
        LineFactory.create(cart=CartFactory.create(user_id=None, token_hash=bytes([number]) * 32)).cart
        for number in (1, 2)
    )
    Cart.objects.update(updated_at=timezone.now() - timedelta(days=40))
    with transaction.atomic():
        Cart.objects.select_for_update().get(pk=busy.pk)
        since = timezone.now() - timedelta(days=30)
        assert at_once(lambda: services.expire_guest_carts(unchanged_since=since)) == [1]
    assert list(Cart.objects.all()) == [busy]
    assert CartLine.objects.exclude(cart=busy).count() == 0
    assert idle not in Cart.objects.all()
