"""A process that dies before or after any commit of stock loses nothing, and nothing happens twice."""

from __future__ import annotations

import ast
import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from django.utils import timezone

from catalog import services
from catalog.models import Product, Reservation, Stock, StockMovement, Variant
from catalog.services.popularity import count_sales
from catalog.services.reservations import release_expired, reserve, undo_reservation
from catalog.services.settlement import Fact, settle_orders
from catalog.services.stock import adjust_stock
from shared_lib.failpoints import NAMES, Hit
from shared_lib.outbox.models import OutboxEvent
from shared_lib.testing.delivery import deliver_events
from shared_lib.testing.failpoints import armed
from tests.books import books_balance
from tests.factories import SELLER, make_product, new_id, variant_of
from tests.orders import ask, cancelled, confirmed, ordered, returned

POINTS = NAMES["svc-catalog"]
FOLDER = Path(services.__file__).parent
# Data that somebody makes by a command, who sees it fail and runs it again.
BY_HAND = {"seeding.py", "images.py"}
SOURCES = sorted(path for path in FOLDER.rglob("*.py") if path.name not in BY_HAND | {"transactions.py"})


def transactions(source: str) -> tuple[list[int], list[str]]:
    """The lines with transactions that have no failpoints, and the names of those that have."""
    bare: list[int] = []
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr == "atomic":
            bare.append(node.lineno)
        if isinstance(node, ast.ImportFrom) and node.module == "django.db.transaction":
            bare.append(node.lineno)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "committing":
            [name] = node.args
            names.append(ast.literal_eval(name))
    return bare, names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_transaction_is_without_its_failpoints(path: Path) -> None:
    assert transactions(path.read_text())[0] == []


@pytest.mark.parametrize(
    "source",
    [
        "@transaction.atomic\ndef f(): pass",
        "with transaction.atomic():\n    pass",
        "from django.db.transaction import atomic",
    ],
)
def test_a_transaction_without_failpoints_is_found(source: str) -> None:
    assert transactions(source)[0]


def test_every_point_is_declared_and_used_once() -> None:
    used = [name for path in SOURCES for name in transactions(path.read_text())[1]]
    assert sorted(f"{name}.{side}" for name in used for side in ("before", "after")) == sorted(POINTS)


class Shelf:
    """Ten units of one variant. Each of `STEPS` is something that happens to it; doing it again must change nothing more."""

    def __init__(self) -> None:
        self.variant: Variant = variant_of(make_product(stock=[10]))
        self.order_id: UUID = new_id()
        self.return_id: UUID = new_id()

    def state(self) -> tuple[int, int, list[str], int, int]:
        row = Stock.objects.get()
        kinds = sorted(StockMovement.objects.values_list("kind", flat=True))
        popularity = Product.objects.values_list("popularity", flat=True).get()
        return row.on_hand, row.reserved, kinds, popularity, OutboxEvent.objects.count()

    def hold(self) -> None:
        reserve(order_id=self.order_id, lines=ask((self.variant, 2)))

    def lapse(self) -> None:
        self.hold()
        Reservation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    def sell(self) -> None:
        self.hold()
        settle_orders(facts=[confirmed(self.order_id, 2, ordered((self.variant, 2)))])

    def facts(self) -> list[Fact]:
        return [
            confirmed(self.order_id, 2, ordered((self.variant, 2))),
            cancelled(new_id(), 3),
            returned(self.return_id, new_id(), 9, ordered((self.variant, 1))),
        ]

    def settle(self) -> None:
        settle_orders(facts=self.facts())

    def tell(self) -> None:
        """Through the inbox, as the broker would: again and again until it is taken."""
        deliver_events(*self.facts())

    def take_away(self) -> None:
        if not StockMovement.objects.filter(kind="adjusted").exists():
            adjust_stock(
                variant_id=self.variant.pk, delta=-1, reason="broken", actor_id=SELLER, seller_id=None
            )


# What was before, what happens, and what is there afterwards: on hand, reserved, popularity.
STEPS: dict[str, tuple[Callable[[Shelf], Any], Callable[[Shelf], Any], tuple[int, int, int]]] = {
    "reserve.commit": (lambda shelf: None, Shelf.hold, (10, 2, 0)),
    "undo.commit": (Shelf.hold, lambda shelf: undo_reservation(order_id=shelf.order_id), (10, 0, 0)),
    "settle.commit": (Shelf.hold, Shelf.tell, (9, 0, 0)),
    "expire.commit": (Shelf.lapse, lambda shelf: release_expired(), (10, 0, 0)),
    "adjust.commit": (lambda shelf: None, Shelf.take_away, (9, 0, 0)),
    "popularity.commit": (Shelf.sell, lambda shelf: count_sales(), (8, 0, 2)),
}


@pytest.fixture
def shelf(transactional_db: None) -> Shelf:
    return Shelf()


def in_a_process_of_its_own(act: Callable[[], Any]) -> int:
    """Runs `act` in a fork with a database session of its own, which is lost with it; how the process ended."""
    child = os.fork()
    if child == 0:
        try:
            connections["default"].connection = None
            act()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - nothing of pytest may go on in this process
            os._exit(1)
    return os.waitpid(child, 0)[1]


def kill(point: str, act: Callable[[], Any]) -> None:
    def run() -> None:
        with armed(point, "kill"):
            act()

    status = in_a_process_of_its_own(run)
    assert os.WIFSIGNALED(status), status
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("point", POINTS)
def test_a_process_killed_at_a_commit_has_done_all_of_it_or_nothing(shelf: Shelf, point: str) -> None:
    name, _, side = point.rpartition(".")
    prepare, act, (on_hand, reserved, popularity) = STEPS[name]
    prepare(shelf)
    before = shelf.state()

    kill(point, lambda: act(shelf))

    # What the inbox gives to a handler is committed by the inbox.
    committed = side == "after" and name != "settle.commit"
    if committed:
        assert (shelf.state()[:2], shelf.state()[3]) == ((on_hand, reserved), popularity)
    else:
        assert shelf.state() == before
    act(shelf)
    done = shelf.state()
    act(shelf)
    assert (done[:2], done[3]) == ((on_hand, reserved), popularity)
    assert shelf.state() == done
    books_balance()


@pytest.mark.parametrize("name", STEPS)
def test_the_point_before_a_commit_comes_when_all_is_written(shelf: Shelf, name: str) -> None:
    prepare, act, (on_hand, reserved, popularity) = STEPS[name]
    act = Shelf.settle if name == "settle.commit" else act
    prepare(shelf)
    seen: list[Any] = []

    with armed(f"{name}.before", lambda: seen.append(shelf.state())):
        act(shelf)

    [state] = seen
    assert (state[:2], state[3]) == ((on_hand, reserved), popularity)


@pytest.mark.parametrize("point", ["settle.commit.before", "settle.commit.after"])
def test_a_crash_between_effect_and_commit_of_a_batch_leaves_nothing(shelf: Shelf, point: str) -> None:
    shelf.hold()
    before = shelf.state()

    with armed(point), pytest.raises(Hit):
        shelf.tell()

    assert shelf.state() == before
