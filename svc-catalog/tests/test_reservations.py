"""services.reservations: every line or none, once an order, never more than there is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from catalog.exceptions import OutOfStock, ReservationClosed
from catalog.models import (
    Product,
    Reservation,
)
from catalog.services.popularity import count_sales
from catalog.services.reservations import release_expired, reserve, undo_reservation
from shared_lib.contracts.events import StockChanged
from shared_lib.contracts.internal.catalog import ReservationLineRequest
from shared_lib.money import Money
from tests.books import books_balance
from tests.factories import SELLER, make_product, make_variant, new_id, variant_of
from tests.orders import ask, ordered, sell_reservation

pytestmark = pytest.mark.django_db


# Reserving


def test_a_reservation_holds_every_line_at_the_price_of_this_moment(published: Any, stock_of: Any) -> None:
    shirt = make_product(
        name="Linen Shirt", prices=[2500], stock=[5], variants=[{"color": "Red", "size": "M"}]
    )
    lamp = make_product(name="Desk Lamp", prices=[4900], stock=[2])
    order_id = new_id()

    held, created = reserve(order_id=order_id, lines=ask((variant_of(lamp), 1), (variant_of(shirt), 2)))

    assert created
    assert held.order_id == order_id
    assert held.expires_at > timezone.now() + timedelta(hours=23)
    lines = {line.variant_id: line for line in held.lines}
    line = lines[variant_of(shirt).pk]
    assert (line.name, line.quantity, line.unit_price, line.weight_grams) == (
        "Linen Shirt (Red / M)",
        2,
        Money(2500, "USD"),
        500,
    )
    assert (line.product_id, line.seller_id, line.sku) == (shirt.pk, SELLER, variant_of(shirt).sku)
    assert lines[variant_of(lamp).pk].name == "Desk Lamp"
    assert stock_of(variant_of(shirt).pk) == (5, 2, 2)
    assert stock_of(variant_of(lamp).pk) == (2, 1, 2)
    assert {(event.variant_id, event.available) for event in published(StockChanged)} == {
        (variant_of(shirt).pk, 3),
        (variant_of(lamp).pk, 1),
    }
    books_balance()


def test_reserving_takes_one_statement_and_one_for_the_events(django_assert_num_queries: Any) -> None:
    lines = ask(*((variant, 1) for variant in make_product(stock=[5, 5, 5]).variants.all()))

    with django_assert_num_queries(4) as queries:  # savepoint, reserve, outbox, release savepoint
        reserve(order_id=new_id(), lines=lines)

    assert sum("SAVEPOINT" in query["sql"] for query in queries.captured_queries) == 2


def test_one_line_that_falls_short_means_none_is_held(published: Any, stock_of: Any) -> None:
    plenty, few = variant_of(make_product(stock=[9])), variant_of(make_product(stock=[2]))
    order_id = new_id()

    with pytest.raises(OutOfStock) as refused:
        reserve(order_id=order_id, lines=ask((plenty, 1), (few, 3)))

    assert refused.value.extra["lines"] == [{"variant_id": str(few.pk), "requested": 3, "available": 2}]
    assert stock_of(plenty.pk) == (9, 0, 1)
    assert not Reservation.objects.filter(pk=order_id).exists()
    assert not published(StockChanged)


def test_what_is_unknown_or_no_longer_sold_counts_as_none_available() -> None:
    archived = variant_of(make_product(status=Product.Status.ARCHIVED))
    removed = variant_of(make_product())
    removed.soft_delete()
    unknown = ReservationLineRequest(variant_id=new_id(), quantity=1)

    with pytest.raises(OutOfStock) as refused:
        reserve(order_id=new_id(), lines=[*ask((archived, 1), (removed, 1)), unknown])

    assert {(line["variant_id"], line["available"]) for line in refused.value.extra["lines"]} == {
        (str(archived.pk), 0),
        (str(removed.pk), 0),
        (str(unknown.variant_id), 0),
    }


def test_the_same_order_again_gets_the_same_reservation(stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[1]))
    order_id = new_id()
    first, created = reserve(order_id=order_id, lines=ask((variant, 1)))
    Product.objects.update(name="Renamed")

    again, created_again = reserve(order_id=order_id, lines=ask((variant, 1)))

    assert (created, created_again) == (True, False)
    assert again == first
    assert stock_of(variant.pk) == (1, 1, 2)


def test_lines_of_one_variant_add_up(stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[5]))

    held, _ = reserve(order_id=new_id(), lines=ask((variant, 2), (variant, 2)))

    assert [line.quantity for line in held.lines] == [4]
    assert stock_of(variant.pk) == (5, 4, 2)


def test_a_closed_reservation_is_not_taken_again(stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[5]))
    sold, released = new_id(), new_id()
    for order_id in (sold, released):
        reserve(order_id=order_id, lines=ask((variant, 1)))
    sell_reservation(order_id=sold, order_version=2, lines=ordered((variant, 1)))
    undo_reservation(order_id=released)
    before = stock_of(variant.pk)

    for order_id in (sold, released):
        with pytest.raises(ReservationClosed):
            reserve(order_id=order_id, lines=ask((variant, 1)))

    assert stock_of(variant.pk) == before


# Undoing


def test_undoing_a_draft_frees_what_it_held(stock_of: Any, published: Any) -> None:
    variant = variant_of(make_product(stock=[5]))
    order_id = new_id()
    reserve(order_id=order_id, lines=ask((variant, 2)))

    undo_reservation(order_id=order_id)
    undo_reservation(order_id=order_id)

    assert stock_of(variant.pk) == (5, 0, 3)
    assert [event.available for event in published(StockChanged)] == [3, 5]
    books_balance()


def test_a_reservation_that_arrives_after_its_undoing_takes_nothing(stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[5]))
    order_id = new_id()

    undo_reservation(order_id=order_id)

    with pytest.raises(ReservationClosed):
        reserve(order_id=order_id, lines=ask((variant, 2)))
    assert stock_of(variant.pk) == (5, 0, 1)


def test_what_is_sold_cannot_be_undone_as_a_draft(stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[5]))
    order_id = new_id()
    reserve(order_id=order_id, lines=ask((variant, 2)))
    sell_reservation(order_id=order_id, order_version=2, lines=ordered((variant, 2)))

    with pytest.raises(ReservationClosed):
        undo_reservation(order_id=order_id)
    assert stock_of(variant.pk) == (3, 0, 3)


# Backstop and popularity


def test_only_reservations_past_their_end_are_released(stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[5]))
    late, fresh = new_id(), new_id()
    for order_id in (late, fresh):
        reserve(order_id=order_id, lines=ask((variant, 1)))
    Reservation.objects.filter(pk=late).update(expires_at=timezone.now() - timedelta(seconds=1))

    assert release_expired() == 1
    assert release_expired() == 0

    assert stock_of(variant.pk) == (5, 1, 4)
    assert Reservation.objects.get(pk=late).status == "released"
    books_balance()


def test_each_sold_order_counts_once_for_popularity() -> None:
    product = make_product(stock=[9, 9])
    first, second = variant_of(product, 0), variant_of(product, 1)
    sold, open_order = new_id(), new_id()
    reserve(order_id=sold, lines=ask((first, 2), (second, 3)))
    reserve(order_id=open_order, lines=ask((first, 1)))
    sell_reservation(order_id=sold, order_version=2, lines=ordered((first, 2), (second, 3)))

    assert (count_sales(limit=1), count_sales(limit=1)) == (1, 0)

    product.refresh_from_db(fields=["popularity"])
    assert product.popularity == 5


def test_a_new_variant_can_be_reserved(stock_of: Any) -> None:
    product = make_product(stock=[1])
    variant = make_variant(product, on_hand=3, attributes={"color": "Blue"}, position=9)

    reserve(order_id=new_id(), lines=ask((variant, 3)))

    assert stock_of(variant.pk) == (3, 3, 2)
