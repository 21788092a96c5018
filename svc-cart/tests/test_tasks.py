"""What happens by the clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from cart import services, tasks
from cart.models import Cart, CartLine
from cart.selectors import Owner
from shared_lib.contracts.events import CartAbandoned
from shared_lib.outbox.models import OutboxEvent
from tests.factories import CartFactory, LineFactory, VariantFactory
from tests.uses import user_of

pytestmark = pytest.mark.django_db


def guest_cart(number: int, *, days: int) -> Cart:
    cart = LineFactory.create(cart=CartFactory.create(user_id=None, token_hash=bytes([number]) * 32)).cart
    Cart.objects.filter(pk=cart.pk).update(updated_at=timezone.now() - timedelta(days=days))
    return cart


def test_guest_carts_expire_and_those_of_users_do_not() -> None:
    guest_cart(1, days=31)
    fresh = guest_cart(2, days=29)
    users = LineFactory.create().cart
    Cart.objects.filter(pk=users.pk).update(updated_at=timezone.now() - timedelta(days=400))

    assert tasks.expire_guest_carts() == 1
    assert set(Cart.objects.all()) == {fresh, users}
    assert CartLine.objects.count() == 2
    assert tasks.expire_guest_carts() == 0


def test_expiry_works_in_slices() -> None:
    for number in range(3):
        guest_cart(number, days=40)
    since = timezone.now() - timedelta(days=30)
    assert [services.expire_guest_carts(unchanged_since=since, limit=2) for _ in range(3)] == [2, 1, 0]


class TestAbandonedCarts:
    @pytest.fixture
    def told(self, published: Any) -> Callable[[], list[tuple[Any, int]]]:
        """Cart and version of every cart that was told of."""
        return lambda: [(event.cart_id, event.version) for event in published(CartAbandoned)]

    def left(self, *, hours: float, **values: Any) -> Cart:
        cart = LineFactory.create(cart=CartFactory.create(**values)).cart
        self.leave(cart, hours=hours)
        return cart

    def leave(self, cart: Cart, *, hours: float) -> None:
        Cart.objects.filter(pk=cart.pk).update(updated_at=timezone.now() - timedelta(hours=hours))

    def test_a_cart_that_was_left_is_told_of_once(self, told: Any, published: Any) -> None:
        cart = self.left(hours=25, version=4)
        self.left(hours=23)
        before = Cart.objects.values("version", "updated_at").get(pk=cart.pk)
        assert tasks.publish_abandoned_carts() == 1
        assert tasks.publish_abandoned_carts() == 0
        assert published(CartAbandoned) == [CartAbandoned(version=4, cart_id=cart.pk, user_id=user_of(cart))]
        assert Cart.objects.values("version", "updated_at").get(pk=cart.pk) == before
        assert OutboxEvent.objects.get().subject == str(cart.pk)

    def test_the_time_is_a_setting(self, told: Any, settings: Any) -> None:
        settings.CART_ABANDONED_HOURS = 2
        cart = self.left(hours=3)
        tasks.publish_abandoned_carts()
        assert told() == [(cart.pk, 1)]

    def test_a_cart_that_was_changed_and_left_again_is_told_of_again(self, told: Any) -> None:
        cart = self.left(hours=25)
        tasks.publish_abandoned_carts()
        services.add_line(owner=Owner.user(user_of(cart)), variant_id=VariantFactory.create().pk, quantity=1)
        assert tasks.publish_abandoned_carts() == 0
        self.leave(cart, hours=25)
        tasks.publish_abandoned_carts()
        assert told() == [(cart.pk, 1), (cart.pk, 2)]

    def test_empty_carts_and_those_of_guests_are_nobodys_loss(self, told: Any) -> None:
        empty = CartFactory.create()
        self.leave(empty, hours=25)
        guest_cart(1, days=2)
        assert tasks.publish_abandoned_carts() == 1
        assert tasks.publish_abandoned_carts() == 0
        assert told() == []
        services.add_line(owner=Owner.user(user_of(empty)), variant_id=VariantFactory.create().pk, quantity=1)
        self.leave(empty, hours=25)
        tasks.publish_abandoned_carts()
        assert told() == [(empty.pk, 2)]

    def test_what_was_left_long_before_anybody_looked_is_no_news(self, told: Any) -> None:
        self.left(hours=24 * 9)
        assert tasks.publish_abandoned_carts() == 1
        assert told() == []

    def test_it_works_in_slices(self, told: Any) -> None:
        for _ in range(3):
            self.left(hours=25)
        now = timezone.now()
        days = {"unchanged_since": now - timedelta(days=1), "not_before": now - timedelta(days=7)}
        assert [services.publish_abandoned_carts(**days, limit=2) for _ in range(3)] == [2, 1, 0]
        assert len(told()) == 3
