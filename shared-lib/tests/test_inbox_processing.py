"""What becomes of a batch, on a real PostgreSQL."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from django.db import connection, transaction
from django.utils import timezone
from effects import event_handlers as handlers
from effects.models import Counter, Effect
from effects.support import incoming, stock_changed

from shared_lib.contracts.events import OrderReturnReceived, ProductArchived, StockChanged
from shared_lib.events import TooEarly, publish
from shared_lib.events.handlers import load_handlers
from shared_lib.ids import uuid7
from shared_lib.inbox import retries, schedule
from shared_lib.inbox.models import InboxEvent, Status
from shared_lib.inbox.processing import DatabaseUnavailable, Processor
from shared_lib.inbox.store import Incoming
from shared_lib.outbox.models import OutboxEvent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def processor() -> Processor:
    return Processor(load_handlers())


def effects() -> int:
    return Effect.objects.count()


def statuses() -> dict[str, int]:
    rows = InboxEvent.objects.values_list("status", flat=True)
    return {status: list(rows).count(status) for status in set(rows)}


def make_due(event_id: UUID | None = None) -> None:
    rows = InboxEvent.objects.filter(status=Status.WAITING)
    (rows if event_id is None else rows.filter(event_id=event_id)).update(due_at=timezone.now())


def test_each_event_of_a_batch_takes_effect_once(processor: Processor) -> None:
    batch = [incoming(stock_changed()) for _ in range(50)]
    processor.process(batch)
    assert (effects(), statuses()) == (50, {"processed": 50})
    assert set(InboxEvent.objects.values_list("body", flat=True)) == {""}


def test_duplicates_have_no_effect_in_one_batch_or_in_the_next(processor: Processor) -> None:
    one, other = incoming(stock_changed()), incoming(stock_changed())
    processor.process([one, other, one])
    processor.process([other, one])
    processor.process([one])
    assert (effects(), statuses()) == (2, {"processed": 2})


def test_an_event_given_to_two_consumers_at_once_takes_effect_once(processor: Processor) -> None:
    batches = [[incoming(stock_changed()) for _ in range(10)] for _ in range(10)]
    barrier = threading.Barrier(4)
    failures: list[BaseException] = []

    def consume(number: int) -> None:
        try:
            for batch in batches:
                barrier.wait(10)
                Processor(load_handlers()).process(batch if number % 2 else batch[::-1])
        except BaseException as error:  # noqa: BLE001  raised again below
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=consume, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    assert (effects(), statuses()) == (100, {"processed": 100})


@pytest.mark.parametrize("failing", [handlers.fail, handlers.fail_in_database])
def test_a_failing_handler_takes_nothing_of_its_batch_with_it(
    failing: Any, processor: Processor, behaviours: dict[Any, Any]
) -> None:
    bad = stock_changed(available=-1)
    behaviours[StockChanged] = lambda event: (failing if event.available == -1 else handlers.count)(event)
    batch = [incoming(stock_changed()), incoming(bad), incoming(stock_changed())]
    processor.process(batch)
    assert (effects(), statuses()) == (2, {"processed": 2, "waiting": 1})
    row = InboxEvent.objects.get(status=Status.WAITING)
    assert row.event_id == batch[1].id
    assert row.envelope.event() == bad
    assert (row.attempts, row.deferrals, row.settled_at) == (1, 0, None)
    assert "Traceback" in row.error
    assert ("ValueError: this handler fails" in row.error) or ("DivisionByZero" in row.error)
    assert timedelta(seconds=0.3) < row.due_at - timezone.now() < timedelta(seconds=2)


def test_a_failure_that_shows_only_at_commit_is_traced_to_its_event(
    processor: Processor, behaviours: dict[Any, Any]
) -> None:
    behaviours[StockChanged] = lambda event: (
        handlers.break_at_commit if event.available == -1 else handlers.count
    )(event)
    bad = incoming(stock_changed(available=-1))
    processor.process([incoming(stock_changed()), bad, incoming(stock_changed())])
    assert (effects(), statuses()) == (2, {"processed": 2, "waiting": 1})
    row = InboxEvent.objects.get(status=Status.WAITING)
    assert row.event_id == bad.id
    assert "foreign key" in row.error


def test_data_that_does_not_fit_the_contract_is_kept_with_its_reason(processor: Processor) -> None:
    good = incoming(stock_changed())
    envelope = msgspec.structs.replace(good.envelope, id=uuid7(), data=msgspec.Raw(b'{"version": "x"}'))
    processor.process([good, Incoming(envelope, msgspec.json.encode(envelope).decode())])
    assert statuses() == {"processed": 1, "waiting": 1}
    assert "does not fit its contract" in InboxEvent.objects.get(status=Status.WAITING).error


def test_an_error_with_characters_that_postgresql_cannot_store_is_kept(
    processor: Processor, behaviours: dict[Any, Any]
) -> None:
    def fail(event: Any) -> None:
        raise ValueError("nul \x00, half of a pair \ud800, and long " + "x" * 50_000)

    behaviours[StockChanged] = fail
    processor.process([incoming(stock_changed()), incoming(stock_changed())])
    assert statuses() == {"waiting": 2}


def test_a_handler_s_own_events_leave_with_its_effect_only(
    processor: Processor, behaviours: dict[Any, Any]
) -> None:
    def answer(event: StockChanged) -> None:
        publish(ProductArchived(version=1, product_id=event.product_id), subject=event.product_id)
        if event.available == -1:
            raise ValueError

    behaviours[StockChanged] = answer
    good = stock_changed()
    processor.process([incoming(good), incoming(stock_changed(available=-1))])
    assert OutboxEvent.objects.get().event == ProductArchived(version=1, product_id=good.product_id)


def test_events_of_one_aggregate_run_in_the_order_of_their_making(
    processor: Processor, behaviours: dict[Any, Any]
) -> None:
    seen: list[tuple[UUID, int]] = []
    behaviours[StockChanged] = lambda event: seen.append((event.variant_id, event.version))
    ones, others = stock_changed(), stock_changed()
    batch = [
        incoming(msgspec.structs.replace(event, version=version))
        for version in (1, 2, 3)
        for event in (ones, others)
    ]
    processor.process(batch[::-1])
    for event in (ones, others):
        assert [version for variant_id, version in seen if variant_id == event.variant_id] == [1, 2, 3]


def test_an_event_without_a_handler_here_is_let_go(processor: Processor) -> None:
    processor = Processor({})
    processor.process([incoming(stock_changed())])
    assert not InboxEvent.objects.exists()


def test_consumers_that_lock_the_same_rows_the_other_way_round_both_finish(
    processor: Processor, behaviours: dict[Any, Any]
) -> None:
    """Each batch locks two counters; subjects are chosen so that the two batches do it in opposite order."""
    Counter.objects.bulk_create([Counter(name="c1"), Counter(name="c2")])
    behaviours[StockChanged] = handlers.lock_two
    batches = [
        [
            incoming(stock_changed(available=first), subject="a"),
            incoming(stock_changed(available=second), subject="b"),
        ]
        for first, second in ((1, 2), (2, 1))
    ]
    barrier, failures = threading.Barrier(2), []

    def consume(batch: list[Incoming]) -> None:
        try:
            barrier.wait(10)
            Processor(load_handlers()).process(batch)
        except BaseException as error:  # noqa: BLE001  raised again below
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=consume, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not failures
    assert (effects(), statuses()) == (4, {"processed": 4})


def test_a_row_that_a_request_holds_costs_a_batch_little_and_no_attempt(
    processor: Processor, behaviours: dict[Any, Any]
) -> None:
    Counter.objects.bulk_create([Counter(name="c1"), Counter(name="c2")])
    behaviours[StockChanged] = handlers.lock_two
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                Counter.objects.select_for_update().get(name="c1")
                held.set()
                release.wait(10)
        finally:
            connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    threading.Timer(0.6, release.set).start()
    processor.process([incoming(stock_changed(available=1)), incoming(stock_changed(available=2))])
    holder.join(10)
    assert (effects(), statuses()) == (2, {"processed": 2})
    assert InboxEvent.objects.filter(attempts__gt=0).count() == 0


def test_a_request_is_never_the_victim_of_a_batch_that_locks_the_other_way_round(
    processor: Processor, behaviours: dict[Any, Any]
) -> None:
    """The request waits for the batch's first row before the batch waits for the request's: PostgreSQL would end the request."""
    Counter.objects.bulk_create([Counter(name="c1"), Counter(name="c2")])
    batch_has_c1, request_has_c2 = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def request() -> None:
        try:
            with transaction.atomic():
                Counter.objects.select_for_update().get(name="c2")
                request_has_c2.set()
                batch_has_c1.wait(10)
                Counter.objects.select_for_update().get(name="c1")
        except BaseException as error:  # noqa: BLE001  raised again below
            failures.append(error)
        finally:
            connection.close()

    def lock(event: StockChanged) -> None:
        Counter.objects.select_for_update().get(name=f"c{event.available}")
        if event.available == 1:
            batch_has_c1.set()
            time.sleep(0.5)
        handlers.count(event)

    behaviours[StockChanged] = lock
    thread = threading.Thread(target=request)
    thread.start()
    request_has_c2.wait(10)
    batch = [incoming(stock_changed(available=number), subject=f"s{number}") for number in (1, 2)]
    processor.process(batch)
    thread.join(10)
    assert not failures
    assert (effects(), statuses()) == (2, {"processed": 2})


# Trying again


def test_a_failed_event_is_tried_again_when_it_is_due(
    processor: Processor, behaviours: dict[Any, Any]
) -> None:
    behaviours[StockChanged] = handlers.fail
    processor.process([incoming(stock_changed())])
    assert retries.run_due(processor) == 0
    make_due()
    assert retries.run_due(processor) == 1
    row = InboxEvent.objects.get()
    assert (row.status, row.attempts) == (Status.WAITING, 2)
    assert row.due_at - timezone.now() > timedelta(seconds=4)
    behaviours.clear()
    make_due()
    retries.run_due(processor)
    row.refresh_from_db()
    assert (row.status, row.body, row.due_at, effects()) == (Status.PROCESSED, "", None, 1)


def test_after_the_last_attempt_an_event_is_a_dead_letter(
    processor: Processor, behaviours: dict[Any, Any]
) -> None:
    behaviours[StockChanged] = handlers.fail
    message = incoming(stock_changed())
    processor.process([message])
    for _ in schedule.FAILURE_PAUSES:
        assert InboxEvent.objects.get().status == Status.WAITING
        make_due()
        assert retries.run_due(processor) == 1
    row = InboxEvent.objects.get()
    assert (row.status, row.attempts, row.due_at) == (Status.DEAD, len(schedule.FAILURE_PAUSES) + 1, None)
    assert row.body == message.body
    assert effects() == 0
    assert retries.run_due(processor) == 0


def test_pauses_grow() -> None:
    assert list(schedule.FAILURE_PAUSES) == sorted(schedule.FAILURE_PAUSES)
    assert list(schedule.EARLY_PAUSES) == sorted(schedule.EARLY_PAUSES)
    assert schedule.EARLY_PAUSES[0] < schedule.FAILURE_PAUSES[0]


def test_an_event_that_is_too_early_is_deferred_and_succeeds_after_the_one_it_waits_for(
    processor: Processor, behaviours: dict[Any, Any]
) -> None:
    def only_after_archiving(event: StockChanged) -> None:
        if not Effect.objects.filter(event_key=str(event.product_id)).exists():
            raise TooEarly("no such product yet")
        handlers.count(event)

    event = stock_changed()
    behaviours[StockChanged] = only_after_archiving
    behaviours[ProductArchived] = lambda archived: Effect.objects.create(event_key=str(archived.product_id))
    processor.process([incoming(event)])
    row = InboxEvent.objects.get()
    assert (row.status, row.attempts, row.deferrals) == (Status.WAITING, 0, 1)
    assert row.due_at - timezone.now() < timedelta(seconds=0.5)
    make_due()
    retries.run_due(processor)
    row.refresh_from_db()
    assert (row.status, row.attempts, row.deferrals) == (Status.WAITING, 0, 2)
    processor.process([incoming(ProductArchived(version=1, product_id=event.product_id), subject="p")])
    make_due()
    retries.run_due(processor)
    assert (effects(), statuses()) == (2, {"processed": 2})


def test_being_too_early_has_a_larger_budget_of_its_own(
    processor: Processor, behaviours: dict[Any, Any]
) -> None:
    assert len(schedule.EARLY_PAUSES) > 3 * len(schedule.FAILURE_PAUSES)
    behaviours[StockChanged] = handlers.too_early
    processor.process([incoming(stock_changed())])
    InboxEvent.objects.update(deferrals=len(schedule.EARLY_PAUSES))
    make_due()
    retries.run_due(processor)
    row = InboxEvent.objects.get()
    assert (row.status, row.attempts) == (Status.DEAD, 0)
    assert "TooEarly: the product is not here yet" in row.error


def test_an_event_that_may_end_the_process_is_set_aside_and_its_attempts_are_counted_beforehand(
    processor: Processor, behaviours: dict[Any, Any]
) -> None:
    suspect = incoming(stock_changed(), redeliveries=schedule.SUSPECT_AFTER)
    processor.process([incoming(stock_changed()), suspect])
    assert (effects(), statuses()) == (1, {"processed": 1, "waiting": 1})

    seen: list[int] = []

    def look(event: StockChanged) -> None:
        # Another session sees the attempt while the handler runs: a kill now would not undo it.
        import psycopg

        params = connection.get_connection_params()
        names = ("host", "port", "user", "password", "dbname")
        with psycopg.connect(**{name: params[name] for name in names}) as other:
            row = other.execute(
                "SELECT attempts FROM inbox_event WHERE event_id = %s", (suspect.id,)
            ).fetchone()
            assert row is not None
            seen.append(row[0])
        handlers.count(event)

    behaviours[StockChanged] = look
    make_due()
    retries.run_due(processor)
    assert seen == [1]
    assert (effects(), statuses()) == (2, {"processed": 2})


def test_an_event_that_ended_the_process_at_every_attempt_becomes_a_dead_letter(processor: Processor) -> None:
    processor.process([incoming(stock_changed(), redeliveries=schedule.SUSPECT_AFTER)])
    InboxEvent.objects.update(attempts=len(schedule.FAILURE_PAUSES) + 1)
    make_due()
    retries.run_due(processor)
    row = InboxEvent.objects.get()
    assert (row.status, effects()) == (Status.DEAD, 0)
    assert "the process ended" in row.error


def test_a_due_event_is_run_by_one_of_two_consumers(processor: Processor, behaviours: dict[Any, Any]) -> None:
    behaviours[StockChanged] = handlers.fail
    processor.process([incoming(stock_changed()) for _ in range(20)])
    behaviours.clear()
    make_due()
    barrier = threading.Barrier(3)

    def retry() -> None:
        try:
            barrier.wait(10)
            retries.run_due(Processor(load_handlers()))
        finally:
            connection.close()

    threads = [threading.Thread(target=retry) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (effects(), statuses()) == (20, {"processed": 20})


def test_a_lost_session_in_the_middle_of_a_batch_undoes_all_of_it(
    processor: Processor, behaviours: dict[Any, Any]
) -> None:
    def lose(event: StockChanged) -> None:
        if event.available == -1:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        handlers.count(event)

    behaviours[StockChanged] = lose
    batch = [incoming(stock_changed()), incoming(stock_changed(available=-1)), incoming(stock_changed())]
    with pytest.raises(DatabaseUnavailable):
        processor.process(batch)
    connection.close()
    assert (effects(), statuses()) == (0, {})
    behaviours.clear()
    processor.process(batch)
    assert (effects(), statuses()) == (3, {"processed": 3})


def test_a_handler_is_called_with_the_trace_of_its_event(
    processor: Processor, behaviours: dict[Any, Any]
) -> None:
    from shared_lib.observability import context

    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    seen: list[str] = []
    behaviours[StockChanged] = lambda event: seen.append(context.traceparent())
    message = incoming(stock_changed())
    envelope = msgspec.structs.replace(message.envelope, traceparent=trace)
    processor.process([Incoming(envelope, message.body)])
    assert seen == [trace]


def test_every_subscribed_contract_can_be_processed(processor: Processor) -> None:
    processor.process(
        [
            incoming(
                OrderReturnReceived(
                    version=1, order_id=uuid7(), number="1", user_id=uuid7(), return_id=uuid7(), lines=[]
                ),
                subject="order",
            )
        ]
    )
    assert statuses() == {"processed": 1}
