"""services.reservations: every line or none, once an order, never more than there is."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.db.models import F, Sum
from django.utils import timezone

from catalog.exceptions import OutOfStock, ReservationClosed
from catalog.models import (
    Product,
    Reservation,
    ReservationLine,
    Stock,
    StockMovement,
    StockShortage,
    Variant,
)
from catalog.services import reservations
from catalog.services.reservations import (
    cancel_reservation,
    count_sales,
    release_expired,
    reserve,
    sell_reservation,
    undo_reservation,
)
from shared_lib.contracts.events import OrderLine, StockChanged
from shared_lib.contracts.internal.catalog import Reservation as Held
from shared_lib.contracts.internal.catalog import ReservationLineRequest
from shared_lib.money import Money
from tests.factories import SELLER, make_product, make_variant, new_id, variant_of

pytestmark = pytest.mark.django_db


def ask(*wanted: tuple[Variant, int]) -> list[ReservationLineRequest]:
    return [ReservationLineRequest(variant_id=variant.pk, quantity=quantity) for variant, quantity in wanted]


def ordered(*wanted: tuple[Variant, int]) -> list[OrderLine]:
    return [
        OrderLine(
            line_id=new_id(),
            variant_id=variant.pk,
            product_id=variant.product_id,
            seller_id=SELLER,
            quantity=quantity,
            unit_price=Money(1999, "USD"),
        )
        for variant, quantity in wanted
    ]


def books_balance() -> None:
    """Stock, movements, reservations and the products' counters tell the same story."""
    for row in Stock.objects.all():
        movements = StockMovement.objects.filter(variant_id=row.pk)
        sums = movements.aggregate(on_hand=Sum("on_hand_delta"), reserved=Sum("reserved_delta"))
        assert (sums["on_hand"], sums["reserved"], movements.count()) == (
            row.on_hand,
            row.reserved,
            row.version,
        )
        held = ReservationLine.objects.filter(variant_id=row.pk, reservation__status="reserved").aggregate(
            sum=Sum("quantity")
        )
        assert (held["sum"] or 0) == row.reserved
    for product in Product.objects.all():
        in_stock = product.variants.filter(stock__on_hand__gt=F("stock__reserved")).count()
        assert product.variants_in_stock == in_stock


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

    with pytest.raises(reservations.StockMismatch):
        sell_reservation(order_id=order_id, order_version=2, lines=ordered((variant, 2)))

    assert Reservation.objects.get(pk=order_id).status == "reserved"


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


# Races, on real connections


@pytest.mark.django_db(transaction=True)
def test_a_crowd_gets_exactly_what_is_there(together: Any, stock_of: Any) -> None:
    """The crowd of a flash sale, in small: every thread is a buyer after buyer, all want one unit of one variant."""
    product = make_product(stock=[100])
    variant = variant_of(product)

    def buyers() -> list[object]:
        outcomes: list[object] = []
        for _ in range(25):
            try:
                outcomes.append(reserve(order_id=new_id(), lines=ask((variant, 1)))[0])
            except OutOfStock as refused:
                outcomes.append(refused)
        return outcomes

    outcomes = [outcome for several in together([buyers] * 16) for outcome in several]

    assert sum(isinstance(outcome, Held) for outcome in outcomes) == 100
    assert sum(isinstance(outcome, OutOfStock) for outcome in outcomes) == 300
    assert stock_of(variant.pk) == (100, 100, 101)
    books_balance()


@pytest.mark.django_db(transaction=True)
def test_the_same_order_at_once_reserves_once(together: Any, stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[1]))
    order_id = new_id()

    results = together([lambda: reserve(order_id=order_id, lines=ask((variant, 1)))] * 8)

    assert all(isinstance(result, tuple) for result in results), results
    assert sorted(created for _, created in results) == [False] * 7 + [True]
    assert len({tuple(held.lines) for held, _ in results}) == 1
    assert stock_of(variant.pk) == (1, 1, 2)


@pytest.mark.django_db(transaction=True)
def test_orders_with_the_same_lines_in_any_order_never_block_each_other(together: Any) -> None:
    """Sold out and back again all the time, so that the counters of the products are locked too."""
    products = [make_product(stock=[2, 2]) for _ in range(4)]
    variants = [variant for product in products for variant in product.variants.all()]

    def shopper(seed: int) -> Callable[[], int]:
        chance = random.Random(seed)

        def run() -> int:
            for _ in range(15):
                order_id = new_id()
                wanted = [(variant, chance.randint(1, 2)) for variant in chance.sample(variants, 4)]
                try:
                    reserve(order_id=order_id, lines=ask(*wanted))
                except OutOfStock:
                    continue
                if chance.random() < 0.2:
                    sell_reservation(order_id=order_id, order_version=2, lines=ordered(*wanted))
                    cancel_reservation(order_id=order_id, order_version=3)
                else:
                    undo_reservation(order_id=order_id)
            return seed

        return run

    assert together([shopper(seed) for seed in range(8)]) == list(range(8))
    assert Stock.objects.filter(on_hand=2, reserved=0).count() == len(variants)
    books_balance()


@pytest.mark.django_db(transaction=True)
def test_undoing_and_reserving_one_order_at_once_ends_with_nothing_held(together: Any, stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[50]))

    for _ in range(10):
        order_id = new_id()
        held, undone = together(
            [
                partial(reserve, order_id=order_id, lines=ask((variant, 1))),
                partial(undo_reservation, order_id=order_id),
            ]
        )
        assert undone is None
        assert isinstance(held, tuple | ReservationClosed)

    assert stock_of(variant.pk)[:2] == (50, 0)
    books_balance()


@pytest.mark.django_db(transaction=True)
def test_confirming_and_expiring_at_once_sells_exactly_once(together: Any, stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[50]))
    orders = [new_id() for _ in range(10)]
    for order_id in orders:
        reserve(order_id=order_id, lines=ask((variant, 2)))
    Reservation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    def confirm() -> None:
        for order_id in orders:
            sell_reservation(order_id=order_id, order_version=2, lines=ordered((variant, 2)))

    results = together([confirm, release_expired, confirm, release_expired])

    assert not [result for result in results if isinstance(result, Exception)]
    assert stock_of(variant.pk)[:2] == (30, 0)
    assert Reservation.objects.filter(status="sold").count() == 10
    books_balance()


@pytest.mark.django_db(transaction=True)
def test_a_unit_given_back_while_others_ask_is_not_lost(together: Any, stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[1]))
    first = new_id()
    reserve(order_id=first, lines=ask((variant, 1)))

    def keep_asking() -> bool:
        for _ in range(200):
            try:
                reserve(order_id=new_id(), lines=ask((variant, 1)))
                return True
            except OutOfStock:
                pass
        return False

    results = together([keep_asking, keep_asking, lambda: undo_reservation(order_id=first)])

    assert sorted(results[:2]) == [False, True]
    assert stock_of(variant.pk)[:2] == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_the_look_before_the_lock_is_not_what_protects_the_stock(stock_of: Any) -> None:
    """Between the look and the lock another buyer takes the unit: the statement waits, looks again and takes nothing."""
    variant = variant_of(make_product(stock=[1]))
    other = connection.copy()
    other.inc_thread_sharing()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(
                "UPDATE catalog_stock SET reserved = 1, version = 2 WHERE variant_id = %s", [variant.pk]
            )
        commit = threading.Timer(0.3, other.commit)
        commit.start()
        with pytest.raises(OutOfStock) as refused:
            reserve(order_id=new_id(), lines=ask((variant, 1)))
        commit.join()
    finally:
        other.close()

    assert refused.value.extra["lines"][0]["available"] == 0
    assert stock_of(variant.pk) == (1, 1, 2)
    assert not Reservation.objects.exists()


def test_a_new_variant_can_be_reserved(stock_of: Any) -> None:
    product = make_product(stock=[1])
    variant = make_variant(product, on_hand=3, attributes={"color": "Blue"}, position=9)

    reserve(order_id=new_id(), lines=ask((variant, 3)))

    assert stock_of(variant.pk) == (3, 3, 2)
