"""A merge against whatever else happens to the two carts at that moment."""

from __future__ import annotations

import threading
from functools import partial
from uuid import UUID

import pytest
from django.db import connection, transaction

from cart import services
from cart.models import Cart
from cart.selectors import Owner, hash_token, show_cart
from cart.services import carts
from shared_lib.models import uuid7
from shared_lib.testing.races import at_once, until_somebody_waits
from tests.factories import VariantFactory

pytestmark = pytest.mark.django_db(transaction=True)


def guest_with(variant_id: UUID, quantity: int) -> bytes:
    """The token's hash of a new guest cart with one line."""
    token = services.add_line(owner=Owner(), variant_id=variant_id, quantity=quantity)
    assert token is not None
    return hash_token(token)


def quantities(user_id: UUID) -> list[int]:
    return [line.quantity for line in show_cart(owner=Owner.user(user_id)).lines]


def test_a_merge_waits_for_a_change_that_is_under_way_and_adds_to_it() -> None:
    user_id, variant = uuid7(), VariantFactory.create(stock__available=99)
    add = partial(services.add_line, owner=Owner.user(user_id), variant_id=variant.pk)
    add(quantity=1)
    guest = guest_with(variant.pk, 2)

    def merge() -> None:
        try:
            services.merge_carts(user_id=user_id, token_hash=guest)
        finally:
            connection.close()

    with transaction.atomic():
        add(quantity=4)
        thread = threading.Thread(target=merge)
        thread.start()
        until_somebody_waits()
    thread.join(10)

    assert quantities(user_id) == [7]


def test_two_tabs_that_merge_one_guest_into_a_cart_that_was_there_add_it_once() -> None:
    for _ in range(5):
        user_id, variant = uuid7(), VariantFactory.create(stock__available=99)
        services.add_line(owner=Owner.user(user_id), variant_id=variant.pk, quantity=1)
        guest = guest_with(variant.pk, 2)

        merges = [partial(services.merge_carts, user_id=user_id, token_hash=guest)] * 4
        assert at_once(*merges) == [None] * 4

        assert quantities(user_id) == [3]
        assert not Cart.objects.filter(token_hash=guest).exists()


@pytest.mark.parametrize("whose", ["user", "guest"])
def test_a_change_of_either_cart_waits_for_a_merge_that_is_under_way(
    whose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id, variant = uuid7(), VariantFactory.create(stock__available=99)
    mine = Owner.user(user_id)
    services.add_line(owner=mine, variant_id=variant.pk, quantity=1)
    guest = guest_with(variant.pk, 2)
    owner = mine if whose == "user" else Owner(token_hash=guest)
    added: list[object] = []
    add = partial(services.add_line, owner=owner, variant_id=variant.pk, quantity=4)
    thread = threading.Thread(target=lambda: added.extend(at_once(add)))
    move_lines = carts._move_lines

    def slowly(*both: Cart) -> bool:
        thread.start()
        until_somebody_waits()
        return move_lines(*both)

    monkeypatch.setattr(carts, "_move_lines", slowly)
    services.merge_carts(user_id=user_id, token_hash=guest)
    thread.join(10)

    if whose == "user":
        assert added == [None]
        assert quantities(user_id) == [7]
    else:
        # The guest's cart had ended by then: what was added is in a new one.
        (token,) = added
        assert quantities(user_id) == [3]
        assert [line.quantity for line in show_cart(owner=Owner.guest(str(token))).lines] == [4]
