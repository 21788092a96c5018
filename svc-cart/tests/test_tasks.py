from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from cart import services, tasks
from cart.models import Cart, CartLine
from tests.factories import CartFactory, LineFactory

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
