"""What the events of others do here; the messages are written by hand in `messages.py`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from cart.event_handlers import on_product, on_stock_changed
from cart.models import Cart, Product, Stock, Variant, WishlistItem
from cart.selectors import find_offers
from shared_lib.contracts.events import CONTRACTS
from shared_lib.idempotency.models import IdempotencyKey
from shared_lib.models import uuid7
from tests.factories import CartFactory, LineFactory, VariantFactory
from tests.messages import (
    OTHER_VARIANT_ID,
    PRODUCT_ID,
    VARIANT_ID,
    order_confirmed,
    product_archived,
    product_published,
    product_updated,
    stock_changed,
    user_erased,
)

pytestmark = pytest.mark.django_db


def offer() -> tuple[bool, int] | None:
    found = find_offers(variant_ids=[UUID(VARIANT_ID)]).get(UUID(VARIANT_ID))
    return (found.is_sold, found.available) if found else None


def test_a_published_product_with_stock_can_be_bought(deliver: Any) -> None:
    deliver(product_published(), stock_changed())
    product = Product.objects.get()
    assert (str(product.pk), product.slug, product.name) == (PRODUCT_ID, "desk-lamp", "Desk lamp")
    assert (product.category, product.thumbnail, product.version) == ("lamps", "/media/desk-lamp.webp", 1)
    assert Variant.objects.get(pk=VARIANT_ID).price_amount == 2500
    assert offer() == (True, 7)


def test_stock_may_be_told_before_the_product(deliver: Any) -> None:
    deliver(stock_changed())
    assert offer() is None
    deliver(product_published())
    assert offer() == (True, 7)


def test_an_update_changes_price_name_and_variants(deliver: Any) -> None:
    deliver(product_published(), stock_changed())
    variants = [{"variant_id": OTHER_VARIANT_ID, "sku": "LAMP-B", "price": {"amount": 1, "currency": "USD"}}]
    deliver(product_updated(version=2, name="Lamp", variants=variants))
    assert Product.objects.get().name == "Lamp"
    assert Variant.objects.get(pk=OTHER_VARIANT_ID).price_amount == 1
    assert offer() == (False, 0)


def test_a_variant_that_comes_back_is_sold_again(deliver: Any) -> None:
    deliver(product_published(), stock_changed())
    deliver(product_updated(version=2, variants=[]))
    deliver(product_updated(version=3))
    assert offer() == (True, 7)


def test_what_is_older_than_what_is_known_is_ignored(deliver: Any) -> None:
    deliver(product_updated(version=5, name="New"), stock_changed(version=5, available=1))
    deliver(product_updated(version=4, name="Old", variants=[]), stock_changed(version=4, available=9))
    deliver(product_archived(version=4))
    assert Product.objects.get().name == "New"
    assert offer() == (True, 1)


def test_an_archived_product_is_not_sold_but_keeps_its_name(deliver: Any) -> None:
    deliver(product_published(), stock_changed())
    deliver(product_archived(version=2))
    assert offer() == (False, 0)
    assert Product.objects.get().name == "Desk lamp"


def test_an_archived_product_does_not_come_back_by_a_late_message(deliver: Any) -> None:
    deliver(product_archived(version=2), stock_changed())
    deliver(product_published(version=1))
    assert offer() is None
    assert Product.objects.get().archived
    deliver(product_published(version=3))
    assert offer() == (True, 7)


def test_a_price_in_another_currency_is_refused_and_nothing_is_stored(deliver: Any) -> None:
    variants = [{"variant_id": VARIANT_ID, "sku": "LAMP-W", "price": {"amount": 1, "currency": "EUR"}}]
    with pytest.raises(AssertionError, match="ForeignCurrency"):
        deliver(product_published(variants=variants))
    assert not Product.objects.exists()


def test_of_several_changes_that_came_together_the_newest_of_each_variant_counts(deliver: Any) -> None:
    deliver(
        product_published(),
        stock_changed(version=2, available=5),
        stock_changed(version=4, available=3),
        stock_changed(version=3, available=9),
        stock_changed(version=1, available=8, variant_id=OTHER_VARIANT_ID),
    )
    assert dict(Stock.objects.values_list("version", "available")) == {4: 3, 1: 8}


def test_stock_below_zero_counts_as_none(deliver: Any) -> None:
    deliver(product_published(), stock_changed(available=-3))
    assert offer() == (True, 0)


def test_stock_is_stored_in_one_query_and_a_product_in_three(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        on_stock_changed([_event(stock_changed()), _event(stock_changed(variant_id=OTHER_VARIANT_ID))])
    with django_assert_num_queries(3):
        on_product(_event(product_published()))
    assert offer() == (True, 7)


def _event(message: tuple[str, dict[str, Any]]) -> Any:
    event_type, data = message
    return msgspec.convert(data, CONTRACTS[event_type], strict=False)


class TestOrderConfirmed:
    def test_exactly_the_ordered_quantities_leave_the_cart(self, deliver: Any) -> None:
        cart = CartFactory.create(version=4)
        bought, partly, other = (LineFactory.create(cart=cart, quantity=3) for _ in range(3))
        deliver(
            order_confirmed(
                (bought.variant_id, 3), (partly.variant_id, 2), cart_id=cart.pk, user_id=cart.user_id
            )
        )
        assert dict(cart.lines.values_list("variant_id", "quantity")) == {
            partly.variant_id: 1,
            other.variant_id: 3,
        }
        cart.refresh_from_db()
        assert cart.version == 5

    def test_what_was_added_after_the_order_stays(self, deliver: Any) -> None:
        line = LineFactory.create(quantity=2)
        line.quantity = 5
        line.save()
        deliver(order_confirmed((line.variant_id, 2), cart_id=line.cart_id, user_id=line.cart.user_id))
        assert line.cart.lines.get().quantity == 3

    def test_a_line_that_shrank_meanwhile_goes_and_never_below_zero(self, deliver: Any) -> None:
        line = LineFactory.create(quantity=1)
        deliver(order_confirmed((line.variant_id, 4), cart_id=line.cart_id, user_id=line.cart.user_id))
        assert not line.cart.lines.exists()

    def test_two_order_lines_of_one_variant_are_taken_together(self, deliver: Any) -> None:
        line = LineFactory.create(quantity=9)
        ordered = [(line.variant_id, 2), (line.variant_id, 3)]
        deliver(order_confirmed(*ordered, cart_id=line.cart_id, user_id=line.cart.user_id))
        assert line.cart.lines.get().quantity == 4

    def test_a_duplicate_takes_nothing_more(self, deliver: Any) -> None:
        line = LineFactory.create(quantity=9)
        message = order_confirmed((line.variant_id, 2), cart_id=line.cart_id, user_id=line.cart.user_id)
        (event_id,) = deliver(message)
        deliver(message, again=event_id)
        assert line.cart.lines.get().quantity == 7

    def test_lines_and_carts_that_are_gone_are_fine(self, deliver: Any) -> None:
        line = LineFactory.create(quantity=1)
        deliver(order_confirmed((uuid7(), 1), cart_id=line.cart_id, user_id=line.cart.user_id))
        deliver(order_confirmed((line.variant_id, 1), cart_id=uuid7(), user_id=line.cart.user_id))
        deliver(order_confirmed((line.variant_id, 1), cart_id=line.cart_id, user_id=uuid7()))
        line.cart.refresh_from_db()
        assert line.cart.version == 1
        assert line.cart.lines.get().quantity == 1


def test_an_erased_user_is_forgotten_and_nobody_else(deliver: Any) -> None:
    mine, other = LineFactory.create(), LineFactory.create()
    for line in (mine, other):
        WishlistItem.objects.create(user_id=str(line.cart.user_id), variant=VariantFactory.create())
    deliver(user_erased(mine.cart.user_id))
    assert list(Cart.objects.values_list("user_id", flat=True)) == [other.cart.user_id]
    assert list(WishlistItem.objects.values_list("user_id", flat=True)) == [other.cart.user_id]


def test_answers_kept_for_an_erased_user_are_forgotten(
    deliver: Any, user: Any, api: Any, variant: Any
) -> None:
    other = api.as_user()
    for client in (user, other):
        body = {"variant_id": str(variant.pk), "quantity": 1}
        client.post("/api/v1/cart/lines", body, headers={"Idempotency-Key": "k"})
    deliver(user_erased(user.user_id))
    assert list(IdempotencyKey.objects.values_list("user_id", flat=True)) == [str(other.user_id)]
