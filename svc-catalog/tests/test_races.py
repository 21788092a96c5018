"""Buyers, events and sweepers at once, in threads with connections of their own, on real PostgreSQL."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from catalog.exceptions import InsufficientStock, OutOfStock, ReservationClosed
from catalog.models import Product, Reservation, Stock, StockMovement, Variant
from catalog.services.popularity import count_sales
from catalog.services.reservations import release_expired, reserve, undo_reservation
from catalog.services.settlement import Fact, settle_orders
from catalog.services.stock import Move, adjust_stock, move
from shared_lib.contracts.events import StockShortage
from shared_lib.contracts.internal.catalog import Reservation as Held
from shared_lib.testing.races import at_once
from tests.books import books_balance
from tests.factories import SELLER, make_product, new_id, variant_of
from tests.orders import (
    ask,
    cancel_reservation,
    cancelled,
    confirmed,
    ordered,
    returned,
    sell_reservation,
)

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 8


def kinds(results: list[Any]) -> Counter[str]:
    return Counter(type(result).__name__ for result in results)


# Buyers


def test_a_crowd_gets_exactly_what_is_there(stock_of: Any) -> None:
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

    crowd = at_once(*[buyers] * 16)

    assert kinds(crowd) == {"list": 16}, crowd
    outcomes = [outcome for several in crowd for outcome in several]
    assert sum(isinstance(outcome, Held) for outcome in outcomes) == 100
    assert sum(isinstance(outcome, OutOfStock) for outcome in outcomes) == 300
    assert stock_of(variant.pk) == (100, 100, 101)
    books_balance()


def test_the_same_order_at_once_reserves_once(stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[1]))
    order_id = new_id()

    results = at_once(*[lambda: reserve(order_id=order_id, lines=ask((variant, 1)))] * 8)

    assert all(isinstance(result, tuple) for result in results), results
    assert sorted(created for _, created in results) == [False] * 7 + [True]
    assert len({tuple(held.lines) for held, _ in results}) == 1
    assert stock_of(variant.pk) == (1, 1, 2)


def test_a_unit_given_back_while_others_ask_is_not_lost(stock_of: Any) -> None:
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

    results = at_once(keep_asking, keep_asking, lambda: undo_reservation(order_id=first))

    assert sorted(results[:2]) == [False, True]
    assert stock_of(variant.pk)[:2] == (1, 1)


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


def test_two_who_take_the_last_unit_at_once_take_one(stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[1]))

    def take() -> Stock:
        return adjust_stock(variant_id=variant.pk, delta=-1, reason="sold", actor_id=SELLER, seller_id=SELLER)

    assert kinds(at_once(*[take] * 6)) == {Stock.__name__: 1, InsufficientStock.__name__: 5}
    assert stock_of(variant.pk) == (0, 0, 2)


# One order, decided at once


def test_undoing_and_reserving_one_order_at_once_ends_with_nothing_held(stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[50]))

    for _ in range(ROUNDS):
        order_id = new_id()
        held, undone = at_once(
            partial(reserve, order_id=order_id, lines=ask((variant, 1))),
            partial(undo_reservation, order_id=order_id),
        )
        assert undone is None
        assert isinstance(held, tuple | ReservationClosed)

    assert stock_of(variant.pk)[:2] == (50, 0)
    books_balance()


@pytest.mark.parametrize("late", [False, True], ids=["held", "late"])
def test_an_order_confirmed_several_times_at_once_is_sold_once(stock_of: Any, late: bool) -> None:
    variant = variant_of(make_product(stock=[50]))
    for number in range(ROUNDS):
        order_id = new_id()
        if not late:
            reserve(order_id=order_id, lines=ask((variant, 2)))
        confirm = partial(sell_reservation, order_id=order_id, order_version=2, lines=ordered((variant, 2)))

        assert at_once(*[confirm] * 4) == [None] * 4

        assert stock_of(variant.pk)[:2] == (48 - 2 * number, 0)
    books_balance()


@pytest.mark.parametrize("sold", [False, True], ids=["held", "sold"])
def test_an_order_cancelled_several_times_at_once_comes_back_once(stock_of: Any, sold: bool) -> None:
    variant = variant_of(make_product(stock=[50]))
    for _ in range(ROUNDS):
        order_id = new_id()
        reserve(order_id=order_id, lines=ask((variant, 2)))
        if sold:
            sell_reservation(order_id=order_id, order_version=2, lines=[])
        cancel = partial(cancel_reservation, order_id=order_id, order_version=3)

        assert at_once(*[cancel] * 4) == [None] * 4

        assert stock_of(variant.pk)[:2] == (50, 0)
    books_balance()


def test_confirming_and_cancelling_at_once_ends_cancelled(stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[50]))
    for _ in range(ROUNDS):
        order_id = new_id()
        reserve(order_id=order_id, lines=ask((variant, 2)))

        results = at_once(
            partial(sell_reservation, order_id=order_id, order_version=2, lines=ordered((variant, 2))),
            partial(cancel_reservation, order_id=order_id, order_version=3),
        )

        assert results == [None, None]
        assert Reservation.objects.get(pk=order_id).status == "released"
        assert stock_of(variant.pk)[:2] == (50, 0)
    books_balance()


def test_confirming_and_expiring_at_once_sells_exactly_once(stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[50]))
    orders = [new_id() for _ in range(10)]
    for order_id in orders:
        reserve(order_id=order_id, lines=ask((variant, 2)))
    Reservation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    def confirm() -> None:
        for order_id in orders:
            sell_reservation(order_id=order_id, order_version=2, lines=ordered((variant, 2)))

    results = at_once(confirm, release_expired, confirm, release_expired)

    assert not [result for result in results if isinstance(result, Exception)]
    assert stock_of(variant.pk)[:2] == (30, 0)
    assert Reservation.objects.filter(status="sold").count() == 10
    books_balance()


def test_sweepers_at_once_free_each_expired_reservation_once(stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[50]))
    for _ in range(20):
        reserve(order_id=new_id(), lines=ask((variant, 2)))
    Reservation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    released = at_once(*[release_expired] * 4)

    assert sum(released) == 20
    assert stock_of(variant.pk) == (50, 0, 41)
    books_balance()


def test_a_shortage_found_several_times_at_once_is_told_once(published: Any) -> None:
    variant = variant_of(make_product(stock=[1]))
    for number in range(ROUNDS):
        order_id = new_id()
        confirm = partial(sell_reservation, order_id=order_id, order_version=2, lines=ordered((variant, 2)))

        assert at_once(*[confirm] * 4) == [None] * 4

        assert len(published(StockShortage)) == number + 1


def test_late_orders_at_once_take_what_is_there_and_not_more(published: Any, stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[5]))
    orders = [new_id() for _ in range(8)]

    def confirm(order_id: Any) -> Callable[[], None]:
        return lambda: sell_reservation(order_id=order_id, order_version=2, lines=ordered((variant, 1)))

    assert at_once(*map(confirm, orders)) == [None] * 8

    assert Reservation.objects.filter(status="sold").count() == 5
    assert len(published(StockShortage)) == 3
    assert stock_of(variant.pk) == (0, 0, 6)
    books_balance()


def test_one_return_told_at_once_is_on_hand_once(stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[5]))
    fact = returned(new_id(), new_id(), 9, ordered((variant, 2)))

    at_once(*[lambda: settle_orders(facts=[fact])] * 4)

    assert stock_of(variant.pk) == (7, 0, 2)
    books_balance()


def test_sales_counted_at_once_count_once() -> None:
    product = make_product(stock=[50])
    for _ in range(10):
        order_id = new_id()
        reserve(order_id=order_id, lines=ask((variant_of(product), 2)))
        sell_reservation(order_id=order_id, order_version=2, lines=[])

    assert sum(at_once(*[count_sales] * 4)) == 10

    assert Product.objects.get().popularity == 20


# Nobody waits for each other


def test_orders_with_the_same_lines_in_any_order_never_block_each_other() -> None:
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

    assert at_once(*[shopper(seed) for seed in range(8)]) == list(range(8))
    assert Stock.objects.filter(on_hand=2, reserved=0).count() == len(variants)
    books_balance()


def test_consumers_and_buyers_with_the_same_orders_and_lines_in_opposite_order_never_deadlock() -> None:
    """Two consumers are told of the same orders, turned round and mixed with late ones, while buyers take and undo."""
    variants = [variant_of(make_product(stock=[500])) for _ in range(6)]
    for round_ in range(ROUNDS):
        orders = sorted(new_id() for _ in range(12))
        for number, order_id in enumerate(orders[:8]):
            wanted = [(variant, 1) for variant in variants[number % 3 :]]
            reserve(order_id=order_id, lines=ask(*(wanted if number % 2 else reversed(wanted))))
        lines = ordered(*((variant, 1) for variant in variants))
        facts: list[Fact] = [confirmed(order_id, 2, lines) for order_id in orders]
        facts += [cancelled(order_id, 3) for order_id in orders[::3]] if round_ % 2 else []

        def buy(*wanted: Variant) -> None:
            for _ in range(5):
                order_id = new_id()
                reserve(order_id=order_id, lines=ask(*((variant, 1) for variant in wanted)))
                undo_reservation(order_id=order_id)

        results = at_once(
            partial(settle_orders, facts=facts),
            partial(settle_orders, facts=facts[::-1]),
            partial(buy, *variants),
            partial(buy, *reversed(variants)),
            partial(settle_orders, facts=[cancelled(order_id, 4) for order_id in reversed(orders)]),
        )

        assert results == [None] * 5, results
    assert not Reservation.objects.filter(status="reserved").exists()
    books_balance()


def settle_late(variants: list[Variant], order_ids: list[Any]) -> None:
    settle_orders(facts=[confirmed(order_ids[0], 2, ordered(*((variant, 1) for variant in variants)))])


def settle_held(variants: list[Variant], order_ids: list[Any]) -> None:
    settle_orders(facts=[confirmed(order_id, 2, []) for order_id in order_ids])


def take_each(variants: list[Variant], order_ids: list[Any]) -> None:
    assert move([Move(variant.pk, -1, StockMovement.Kind.ADJUSTED) for variant in variants])


def meet_at_the_lowest(table: str, act: Callable[[list[Variant], list[Any]], None]) -> list[Any]:
    """How many of the higher rows `act` holds while it waits for the lowest, and what came of it."""
    held = act is settle_held
    products = [make_product(stock=[2 if held else 1]) for _ in range(8)]
    variants = sorted((variant_of(product) for product in products), key=lambda variant: variant.pk)
    orders = sorted(new_id() for _ in variants)
    if held:
        for order_id, variant in zip(reversed(orders), variants, strict=True):
            reserve(order_id=order_id, lines=ask((variant, 1)))
    for variant in reversed(variants):  # lays the rows into the table from the highest to the lowest
        Stock.objects.filter(pk=variant.pk).update(updated_at=timezone.now())
        Product.objects.filter(pk=variant.product_id).update(updated_at=timezone.now())
    keys = {
        "catalog_stock": ("variant_id", [variant.pk for variant in variants]),
        "catalog_product": ("id", sorted(product.pk for product in products)),
        "catalog_reservation": ("order_id", orders),
    }
    key, (low, *higher) = keys[table]
    waiting = threading.Event()

    def holder() -> int:
        """Holds the lowest row until the other waits for it, and counts which of the higher ones are not free then."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SELECT FROM {table} WHERE {key} = %s FOR NO KEY UPDATE", [low])
            waiting.set()
            for _ in range(500):
                cursor.execute(
                    "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
                if cursor.fetchone() is not None:
                    break
                time.sleep(0.02)
            cursor.execute(
                f"SELECT FROM {table} WHERE {key} = ANY(%s) FOR NO KEY UPDATE SKIP LOCKED", [higher]
            )
            return len(higher) - len(cursor.fetchall())

    def other() -> None:
        waiting.wait(10)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SET LOCAL enable_mergejoin = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_sort = off"
            )
            act(variants[::-1], orders[::-1])

    return at_once(holder, other)


@pytest.mark.parametrize(
    ("table", "act", "rounds"),
    [
        pytest.param("catalog_stock", take_each, 4, id="stock"),
        pytest.param("catalog_stock", settle_late, 1, id="stock-of-late-orders"),
        pytest.param("catalog_stock", settle_held, 1, id="stock-of-held-orders"),
        pytest.param("catalog_product", take_each, 1, id="product"),
        pytest.param("catalog_reservation", settle_held, 1, id="reservation"),
    ],
)
def test_rows_are_locked_in_the_order_of_their_ids(
    table: str, act: Callable[[list[Variant], list[Any]], None], rounds: int
) -> None:
    """However rows and wishes are sorted and the statement is planned: who waits for the lowest id holds no higher one."""
    # What is moved is hashed first: without an order the lowest of eight is the first of them one time in eight.
    for _ in range(rounds):
        assert meet_at_the_lowest(table, act) == [0, None]
