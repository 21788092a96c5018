"""services.settlement: each order sold, freed or back on hand exactly once, in whatever order it is told."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from catalog.exceptions import ReservationClosed
from catalog.models import Reservation, ReservationLine, Stock, StockMovement, StockShortage
from catalog.services.closing import StockMismatch
from catalog.services.reservations import reserve, undo_reservation
from catalog.services.settlement import Fact, settle_orders
from shared_lib.contracts.events import OrderLine, StockChanged, StockLow
from shared_lib.contracts.events import StockShortage as StockShortageEvent
from shared_lib.money import Money
from tests.books import books_balance
from tests.factories import SELLER, make_product, new_id, variant_of
from tests.orders import ask, cancel_reservation, cancelled, confirmed, ordered, returned, sell_reservation

pytestmark = pytest.mark.django_db


# Selling


def test_a_confirmed_order_takes_its_units_off_the_shelf(stock_of: Any, published: Any) -> None:
    variant = variant_of(make_product(stock=[5]))
    order_id = new_id()
    reserve(order_id=order_id, lines=ask((variant, 2)))

    sell_reservation(order_id=order_id, order_version=2, lines=ordered((variant, 2)))
    sell_reservation(order_id=order_id, order_version=2, lines=ordered((variant, 2)))

    assert stock_of(variant.pk) == (3, 0, 3)
    assert [event.available for event in published(StockChanged)] == [3, 3]
    assert Reservation.objects.get(pk=order_id).status == "sold"
    books_balance()


def test_an_order_confirmed_after_its_reservation_expired_takes_what_is_still_there(stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[5]))
    order_id = new_id()
    reserve(order_id=order_id, lines=ask((variant, 2)))
    undo_reservation(order_id=order_id)

    sell_reservation(order_id=order_id, order_version=4, lines=ordered((variant, 2)))

    assert stock_of(variant.pk) == (3, 0, 4)
    assert Reservation.objects.get(pk=order_id).status == "sold"
    assert not StockShortage.objects.exists()
    books_balance()


def test_an_order_confirmed_without_any_reservation_takes_its_lines(stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[5], name="Desk Lamp"))
    order_id = new_id()

    sell_reservation(order_id=order_id, order_version=2, lines=ordered((variant, 1), (variant, 1)))

    assert stock_of(variant.pk) == (3, 0, 2)
    line = ReservationLine.objects.get(reservation_id=order_id)
    assert (line.quantity, line.unit_price_amount, line.name) == (2, 1999, "Desk Lamp")
    books_balance()


def test_a_shortage_of_a_late_confirmation_is_recorded_and_takes_nothing(stock_of: Any) -> None:
    gone, there = variant_of(make_product(stock=[1])), variant_of(make_product(stock=[5]))
    order_id = new_id()

    sell_reservation(order_id=order_id, order_version=2, lines=ordered((gone, 2), (there, 1)))

    [shortage] = StockShortage.objects.all()
    assert (shortage.order_id, shortage.variant_id, shortage.quantity, shortage.available) == (
        order_id,
        gone.pk,
        2,
        1,
    )
    assert (stock_of(gone.pk), stock_of(there.pk)) == ((1, 0, 1), (5, 0, 1))
    cancel_reservation(order_id=order_id, order_version=3)
    assert (stock_of(gone.pk), stock_of(there.pk)) == ((1, 0, 1), (5, 0, 1))


def test_a_shortage_of_a_variant_that_was_never_here_still_names_the_others() -> None:
    gone = variant_of(make_product(stock=[0]))
    lines = ordered((gone, 1))
    stranger = OrderLine(
        line_id=new_id(),
        variant_id=new_id(),
        product_id=new_id(),
        seller_id=SELLER,
        quantity=1,
        unit_price=Money(1, "USD"),
    )

    sell_reservation(order_id=new_id(), order_version=2, lines=[*lines, stranger])

    assert StockShortage.objects.get().variant_id == gone.pk


# Cancelling


def test_a_cancelled_order_frees_what_was_held(stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[5]))
    order_id = new_id()
    reserve(order_id=order_id, lines=ask((variant, 2)))

    cancel_reservation(order_id=order_id, order_version=2)

    assert stock_of(variant.pk) == (5, 0, 3)
    books_balance()


def test_a_cancelled_order_that_was_sold_comes_back_on_the_shelf(stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[5]))
    order_id = new_id()
    reserve(order_id=order_id, lines=ask((variant, 2)))
    sell_reservation(order_id=order_id, order_version=2, lines=ordered((variant, 2)))

    cancel_reservation(order_id=order_id, order_version=3)
    cancel_reservation(order_id=order_id, order_version=3)

    assert stock_of(variant.pk) == (5, 0, 4)
    books_balance()


def test_a_cancellation_that_overtakes_its_confirmation_wins(stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[5]))
    order_id = new_id()
    reserve(order_id=order_id, lines=ask((variant, 2)))

    cancel_reservation(order_id=order_id, order_version=3)
    sell_reservation(order_id=order_id, order_version=2, lines=ordered((variant, 2)))

    assert stock_of(variant.pk) == (5, 0, 3)
    assert Reservation.objects.get(pk=order_id).status == "released"


def test_a_cancellation_before_any_reservation_leaves_a_tombstone(stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[5]))
    order_id = new_id()

    cancel_reservation(order_id=order_id, order_version=3)
    sell_reservation(order_id=order_id, order_version=2, lines=ordered((variant, 2)))

    with pytest.raises(ReservationClosed):
        reserve(order_id=order_id, lines=ask((variant, 2)))
    assert stock_of(variant.pk) == (5, 0, 1)


def test_stock_that_contradicts_a_reservation_is_an_error_and_changes_nothing(stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[5]))
    order_id = new_id()
    reserve(order_id=order_id, lines=ask((variant, 2)))
    Stock.objects.filter(pk=variant.pk).update(reserved=1)

    with pytest.raises(StockMismatch):
        sell_reservation(order_id=order_id, order_version=2, lines=ordered((variant, 2)))

    assert Reservation.objects.get(pk=order_id).status == "reserved"


# Shortages


def test_a_shortage_is_told_once_an_order_with_the_lines_that_fall_short(
    published: Any, stock_of: Any
) -> None:
    gone, there = variant_of(make_product(stock=[1])), variant_of(make_product(stock=[5]))
    order_id = new_id()
    lines = ordered((gone, 1), (gone, 2), (there, 1))

    for version in (2, 2, 4):
        sell_reservation(order_id=order_id, order_version=version, lines=lines)

    [event] = published(StockShortageEvent)
    assert event.order_id == order_id
    assert [(line.variant_id, line.product_id, line.missing) for line in event.lines] == [
        (gone.pk, gone.product_id, 2)
    ]
    assert not published(StockChanged)
    assert (stock_of(gone.pk), stock_of(there.pk)) == ((1, 0, 1), (5, 0, 1))


def test_an_order_that_was_once_short_takes_nothing_later(published: Any, stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[1]))
    order_id = new_id()
    sell_reservation(order_id=order_id, order_version=2, lines=ordered((variant, 2)))
    settle_orders(facts=[returned(new_id(), new_id(), 9, ordered((variant, 5)))])

    sell_reservation(order_id=order_id, order_version=3, lines=ordered((variant, 2)))

    assert stock_of(variant.pk) == (6, 0, 2)
    assert len(published(StockShortageEvent)) == 1


def test_of_late_orders_those_that_fit_take_their_units_and_the_others_are_short(
    published: Any, stock_of: Any
) -> None:
    variant, other = variant_of(make_product(stock=[3])), variant_of(make_product(stock=[1]))
    first, second, third = sorted(new_id() for _ in range(3))

    settle_orders(
        facts=[
            confirmed(third, 2, ordered((variant, 1))),
            confirmed(second, 2, ordered((variant, 2), (other, 1))),
            confirmed(first, 2, ordered((variant, 2))),
        ]
    )

    assert [event.order_id for event in published(StockShortageEvent)] == [second]
    assert dict(Reservation.objects.values_list("order_id", "status")) == {
        first: "sold",
        second: "released",
        third: "sold",
    }
    assert (stock_of(variant.pk), stock_of(other.pk)) == ((0, 0, 3), (1, 0, 1))
    books_balance()


# Many at once


def test_orders_of_one_variant_are_settled_together(published: Any, stock_of: Any) -> None:
    """One change and one event for the variant; a version and a movement for each order."""
    variant = variant_of(make_product(stock=[9]))
    orders = [new_id() for _ in range(4)]
    for order_id in orders[:3]:
        reserve(order_id=order_id, lines=ask((variant, 1)))
    told = len(published(StockChanged))

    settle_orders(
        facts=[
            confirmed(orders[0], 2, ordered((variant, 1))),
            confirmed(orders[1], 2, ordered((variant, 1))),
            cancelled(orders[2], 2),
            confirmed(orders[3], 2, ordered((variant, 1))),
            returned(new_id(), new_id(), 9, ordered((variant, 2))),
        ]
    )

    assert stock_of(variant.pk) == (8, 0, 9)
    [event] = published(StockChanged)[told:]
    assert (event.version, event.available) == (9, 8)
    assert sorted(StockMovement.objects.filter(stock_version__gt=4).values_list("kind", flat=True)) == [
        "released",
        "retaken",
        "returned",
        "sold",
        "sold",
    ]
    books_balance()


def test_a_crowd_of_orders_costs_as_many_statements_as_one(django_assert_num_queries: Any) -> None:
    variants = [variant_of(make_product(stock=[9])) for _ in range(3)]
    orders = [new_id() for _ in range(6)]
    for number, order_id in enumerate(orders):
        reserve(order_id=order_id, lines=ask((variants[number % 3], 1), (variants[number % 2], 1)))

    for crowd in (orders[:1], orders[1:]):
        with django_assert_num_queries(5):  # savepoint, lock, close, outbox, release savepoint
            settle_orders(facts=[confirmed(order_id, 2, []) for order_id in crowd])

    assert Reservation.objects.filter(status="sold").count() == 6
    books_balance()


def test_one_that_contradicts_the_stock_takes_nothing_of_the_others_with_it(stock_of: Any) -> None:
    variant, broken = variant_of(make_product(stock=[5])), variant_of(make_product(stock=[5]))
    fine, bad = new_id(), new_id()
    reserve(order_id=fine, lines=ask((variant, 1)))
    reserve(order_id=bad, lines=ask((broken, 2)))
    Stock.objects.filter(pk=broken.pk).update(reserved=1)

    with pytest.raises(StockMismatch):
        settle_orders(facts=[confirmed(fine, 2, []), confirmed(bad, 2, [])])

    assert set(Reservation.objects.values_list("status", "order_version")) == {("reserved", 0)}
    assert stock_of(variant.pk) == (5, 1, 2)


def test_stock_that_falls_low_in_a_crowd_is_told_once(published: Any) -> None:
    variant = variant_of(make_product(stock=[7]))

    settle_orders(facts=[confirmed(new_id(), 2, ordered((variant, 1))) for _ in range(4)])

    [event] = published(StockLow)
    assert (event.available, event.version) == (3, 5)


# Whatever the order


@pytest.mark.parametrize("reserved_first", [True, False])
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("turn", list(itertools.permutations(["confirmed", "cancelled", "confirmed"])))
def test_a_cancelled_order_ends_released_in_whatever_order_it_is_told(
    turn: tuple[str, ...], together: bool, reserved_first: bool, stock_of: Any
) -> None:
    variant = variant_of(make_product(stock=[5]))
    order_id = new_id()
    if reserved_first:
        reserve(order_id=order_id, lines=ask((variant, 2)))
    facts: dict[str, Fact] = {
        "confirmed": confirmed(order_id, 2, ordered((variant, 2))),
        "cancelled": cancelled(order_id, 3),
    }

    if together:
        settle_orders(facts=[facts[name] for name in turn])
    else:
        for name in turn:
            settle_orders(facts=[facts[name]])

    assert stock_of(variant.pk)[:2] == (5, 0)
    reservation = Reservation.objects.get(pk=order_id)
    assert (reservation.status, reservation.order_version) == ("released", 3)
    books_balance()


@pytest.mark.parametrize("turn", list(itertools.permutations(["confirmed", "returned", "returned"])))
def test_a_return_that_overtakes_its_confirmation_still_leaves_both_done(
    turn: tuple[str, ...], stock_of: Any
) -> None:
    variant = variant_of(make_product(stock=[5]))
    order_id, return_id = new_id(), new_id()
    reserve(order_id=order_id, lines=ask((variant, 3)))
    facts: dict[str, Fact] = {
        "confirmed": confirmed(order_id, 2, ordered((variant, 3))),
        "returned": returned(return_id, order_id, 7, ordered((variant, 2))),
    }

    for name in turn:
        settle_orders(facts=[facts[name]])

    assert stock_of(variant.pk)[:2] == (4, 0)
    books_balance()


def test_nothing_to_settle_changes_nothing() -> None:
    settle_orders(facts=[])

    assert not StockMovement.objects.exists()
