"""Handlers that take all events of a batch in one call, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.utils import timezone
from effects.models import Effect
from effects.support import incoming, stock_changed

from shared_lib.contracts.events import ProductArchived, StockChanged, StockLow
from shared_lib.events import TooEarly, batched, current_event_id, replayable
from shared_lib.events.handlers import Handler, is_batched, is_replayable
from shared_lib.ids import uuid7
from shared_lib.inbox import retries
from shared_lib.inbox.models import InboxEvent, Status
from shared_lib.inbox.processing import Processor

pytestmark = pytest.mark.django_db(transaction=True)

calls: list[list[int]] = []


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    calls.clear()


@batched
def take(events: Sequence[Any]) -> None:
    calls.append([event.version for event in events])
    Effect.objects.bulk_create([Effect(event_key=str(event.version)) for event in events])


@batched
def take_but_not_number_three(events: Sequence[Any]) -> None:
    take(events)
    if any(event.version == 3 for event in events):
        raise ValueError("number three")


@batched
def take_later(events: Sequence[Any]) -> None:
    calls.append([event.version for event in events])
    raise TooEarly("not yet")


def take_one(event: Any) -> None:
    take([event])


def numbered(*numbers: int) -> list[Any]:
    return [incoming(stock_changed(version=number), subject=number) for number in numbers]


def statuses() -> list[str]:
    return sorted(InboxEvent.objects.values_list("status", flat=True))


def process(messages: Sequence[Any], handler: Handler, **others: Handler) -> Processor:
    processor = Processor({StockChanged.event_type: handler, **others})
    processor.process(messages)
    return processor


def test_all_events_of_a_batch_come_in_one_call_in_the_order_of_their_subjects() -> None:
    process(numbered(3, 1, 2), take)

    assert calls == [[1, 2, 3]]
    assert statuses() == ["processed"] * 3


def test_types_with_one_handler_come_together_and_others_alone() -> None:
    archived = incoming(ProductArchived(version=2, product_id=uuid7()), subject=2)

    process([*numbered(1, 3), archived], take, **{ProductArchived.event_type: take})
    process([*numbered(4, 5), incoming(ProductArchived(version=6, product_id=uuid7()), subject=1)], take_one,
            **{ProductArchived.event_type: take})  # fmt: skip

    assert calls == [[1, 2, 3], [4], [5], [6]]


def test_batched_handlers_run_after_the_others_in_the_order_of_the_table_whatever_came() -> None:
    """So two consumers, whose batches have other subjects, take the locks of these handlers in one order."""

    @batched
    def take_too(events: Sequence[Any]) -> None:
        take(events)

    low = StockLow(version=9, variant_id=uuid7(), product_id=uuid7(), seller_id=uuid7(), available=1)
    for archived, changed in ((1, 2), (2, 1)):
        process(
            [
                incoming(ProductArchived(version=6, product_id=uuid7()), subject=archived),
                incoming(stock_changed(version=5), subject=changed),
                incoming(low, subject=3),
            ],
            take_too,
            **{ProductArchived.event_type: take, StockLow.event_type: take_one},
        )

    assert calls == [[9], [5], [6]] * 2


def test_the_order_of_handlers_is_the_same_when_each_event_has_a_savepoint_of_its_own() -> None:
    archived = incoming(ProductArchived(version=6, product_id=uuid7()), subject=4)

    process(
        [*numbered(1, 3), archived],
        take_but_not_number_three,
        **{ProductArchived.event_type: take_one},
    )

    assert calls == [[6], [1, 3], [6], [1], [3]]


def test_a_single_event_comes_in_a_list_too() -> None:
    process(numbered(1), take)

    assert calls == [[1]]


def test_duplicates_are_not_in_the_list() -> None:
    one, two, three = numbered(1, 2, 3)
    process([one, two], take)

    process([two, three, three], take)

    assert calls == [[1, 2], [3]]
    assert Effect.objects.count() == 3


def test_one_that_fails_takes_nothing_of_the_others_with_it() -> None:
    process(numbered(1, 2, 3, 4), take_but_not_number_three)

    assert calls == [[1, 2, 3, 4], [1], [2], [3], [4]]
    assert statuses() == ["processed"] * 3 + ["waiting"]
    assert set(Effect.objects.values_list("event_key", flat=True)) == {"1", "2", "4"}


def test_one_that_failed_is_tried_again_alone() -> None:
    processor = process(numbered(1, 3), take_but_not_number_three)
    InboxEvent.objects.filter(status=Status.WAITING).update(due_at=timezone.now())

    retries.run_due(processor)

    assert calls[-1] == [3]
    assert InboxEvent.objects.get(status=Status.WAITING).attempts == 2


def test_what_is_too_early_is_deferred_each_by_itself() -> None:
    process(numbered(1, 2), take_later)

    assert set(InboxEvent.objects.values_list("status", "deferrals")) == {("waiting", 1)}
    assert calls == [[1, 2], [1], [2]]


def test_a_list_has_no_event_id_of_its_own() -> None:
    @batched
    def ask(events: Sequence[Any]) -> None:
        current_event_id()

    process(numbered(1), ask)

    assert "LookupError" in InboxEvent.objects.get().error


def test_the_marks_of_a_handler_do_not_disturb_each_other() -> None:
    @replayable
    @batched
    def both(events: Sequence[Any]) -> None: ...

    assert (is_batched(both), is_replayable(both)) == (True, True)
    assert (is_batched(take_one), is_replayable(take)) == (False, False)
