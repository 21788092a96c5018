from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction
from effects.support import Wire, events_process, eventually, publish_committed, running, stock_changed
from kombu import Connection

from shared_lib.contracts.events import StockLow
from shared_lib.events import metrics, publish
from shared_lib.events.bus import (
    BusUnavailable,
    Flight,
    Outgoing,
    Publisher,
    PublishResult,
    Subscription,
)
from shared_lib.events.memory import MemoryBus, MemoryPublisher
from shared_lib.outbox import direct
from shared_lib.outbox import relay as relay_module
from shared_lib.outbox.models import OutboxEvent
from shared_lib.outbox.relay import LOCK_KEY, Relay

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


@pytest.fixture
def relay(bus: MemoryBus) -> Iterator[Relay]:
    with running(Relay(publisher=bus.publisher)) as running_relay:
        eventually(lambda: running_relay.pulse.ready)
        yield running_relay


def pending() -> int:
    return OutboxEvent.objects.filter(published_at=None).count()


def pending_elsewhere() -> int:
    """The same, on a connection that is gone afterwards: for the thread of a relay."""
    with direct.connect() as other:
        row = other.execute("SELECT count(*) FROM outbox_event WHERE published_at IS NULL").fetchone()
    return int(row[0]) if row else -1


def arrived(bus: MemoryBus, service: str = "svc-cart") -> list[bytes]:
    return list(bus.queues[service])


def test_every_committed_event_is_published_once_in_the_order_of_its_making(
    bus: MemoryBus, relay: Relay
) -> None:
    publish_committed(*[stock_changed() for _ in range(450)])
    eventually(lambda: pending() == 0)
    rows = OutboxEvent.objects.order_by("id")
    assert arrived(bus) == [row.body.encode() for row in rows]


def test_a_commit_wakes_the_relay_long_before_it_polls(bus: MemoryBus, relay: Relay) -> None:
    time.sleep(0.1)
    started = time.monotonic()
    publish_committed(stock_changed())
    eventually(lambda: arrived(bus))
    assert time.monotonic() - started < relay_module.POLL_SECONDS / 2


def test_polling_finds_what_no_notification_told_of(bus: MemoryBus, relay: Relay) -> None:
    publish_committed(stock_changed())
    eventually(lambda: pending() == 0)
    OutboxEvent.objects.update(published_at=None)
    eventually(lambda: len(arrived(bus)) == 2, within=3)


def test_a_row_with_a_lower_id_that_commits_later_is_published(bus: MemoryBus, relay: Relay) -> None:
    early = stock_changed()
    with direct.connect() as other:
        other.autocommit = False
        with transaction.atomic():
            envelope = publish(early, subject=early.variant_id)
            row = OutboxEvent.objects.get(id=envelope.id)
            transaction.set_rollback(True)
        other.execute(
            "INSERT INTO outbox_event (id, type, subject, body, created_at) VALUES (%s, %s, %s, %s, %s)",
            (row.id, row.type, row.subject, row.body, row.created_at),
        )
        (later,) = publish_committed(stock_changed())
        eventually(lambda: arrived(bus))
        assert later.id > row.id
        other.commit()
    eventually(lambda: len(arrived(bus)) == 2)
    assert pending() == 0


def test_an_unroutable_event_stays_and_does_not_hold_up_the_others(bus: MemoryBus, relay: Relay) -> None:
    before = metrics.UNROUTABLE.labels("stock.changed.v1")._value.get()
    bus.missing_queues = {"svc-cart", "svc-catalog"}
    publish_committed(*[stock_changed() for _ in range(3)])
    eventually(lambda: metrics.UNROUTABLE.labels("stock.changed.v1")._value.get() > before)
    low = StockLow(version=1, variant_id=uuid4(), product_id=uuid4(), seller_id=uuid4(), available=1)
    with transaction.atomic():
        publish(low, subject=low.variant_id)
    eventually(lambda: pending() == 3)
    assert bus.declared >= 1
    bus.missing_queues = set()
    eventually(lambda: pending() == 0)
    assert len(arrived(bus)) == 3


def test_an_unroutable_event_is_not_sent_in_a_circle(bus: MemoryBus, relay: Relay) -> None:
    before = metrics.UNROUTABLE.labels("stock.changed.v1")._value.get()
    bus.missing_queues = {"svc-cart", "svc-catalog"}
    publish_committed(stock_changed())
    for _ in range(50):  # other events keep waking the relay meanwhile
        low = StockLow(version=1, variant_id=uuid4(), product_id=uuid4(), seller_id=uuid4(), available=1)
        with transaction.atomic():
            publish(low, subject=low.variant_id)
        time.sleep(0.05)
    assert 1 <= metrics.UNROUTABLE.labels("stock.changed.v1")._value.get() - before <= 4


def test_events_that_nobody_consumes_are_counted_and_done(bus: MemoryBus, relay: Relay) -> None:
    before = metrics.UNCONSUMED.labels("stock.low.v1")._value.get()
    low = StockLow(version=1, variant_id=uuid4(), product_id=uuid4(), seller_id=uuid4(), available=1)
    with transaction.atomic():
        publish(low, subject=low.variant_id)
    eventually(lambda: pending() == 0)
    assert metrics.UNCONSUMED.labels("stock.low.v1")._value.get() == before + 1


def test_what_the_broker_refuses_stays_until_it_takes_it(bus: MemoryBus, relay: Relay) -> None:
    bus.refuse_types = {"stock.changed.v1"}
    publish_committed(stock_changed())
    eventually(lambda: not relay.pulse.ready)
    assert pending() == 1
    bus.refuse_types = set()
    eventually(lambda: pending() == 0)


def test_a_broker_that_is_away_costs_no_event(bus: MemoryBus, relay: Relay) -> None:
    bus.down = True
    publish_committed(stock_changed())
    eventually(lambda: not relay.pulse.ready)
    assert pending() == 1
    bus.down = False
    eventually(lambda: pending() == 0)
    assert len(arrived(bus)) == 1


def test_a_lost_database_connection_is_replaced(bus: MemoryBus, relay: Relay) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'events relay'"
        )
    publish_committed(stock_changed())
    eventually(lambda: pending() == 0)


def test_the_lag_is_measured(bus: MemoryBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "MEASURE_SECONDS", 0.0)
    bus.missing_queues = {"svc-cart", "svc-catalog"}
    publish_committed(stock_changed(), stock_changed())
    OutboxEvent.objects.update(created_at="2026-01-01T00:00:00Z")
    with running(Relay(publisher=bus.publisher)):
        eventually(lambda: metrics.PENDING._value.get() == 2)
        assert metrics.OLDEST_PENDING._value.get() > 3600
        assert metrics.LEADER._value.get() == 1
        bus.missing_queues = set()
        eventually(lambda: metrics.PENDING._value.get() == 0)
        assert metrics.OLDEST_PENDING._value.get() == 0
    assert metrics.LEADER._value.get() == 0


def test_the_web_process_tells_of_outbox_and_inbox_whether_or_not_anything_else_runs(
    api: Any, settings: Any
) -> None:
    from django.utils import timezone

    from shared_lib.inbox.models import InboxEvent, Status

    settings.ROOT_URLCONF = "sample.root_urls"
    publish_committed(stock_changed(), stock_changed())
    OutboxEvent.objects.update(created_at="2026-01-01T00:00:00Z")
    for status in (Status.WAITING, Status.DEAD, Status.PROCESSED):
        InboxEvent.objects.create(
            event_id=uuid4(), type="stock.changed.v1", subject="x", status=status, received_at=timezone.now()
        )
    text = api.anonymous().get("/metrics").content.decode()
    figures = {
        name: float(figure)
        for name, figure in re.findall(r"^(shop_(?:in|out)box_\w+) (\S+)$", text, re.MULTILINE)
    }
    assert figures["shop_outbox_pending"] == 2
    assert figures["shop_outbox_oldest_pending_seconds"] > 86400
    assert (figures["shop_inbox_waiting"], figures["shop_inbox_dead_letters"]) == (1, 1)
    assert 0 <= figures["shop_inbox_oldest_waiting_seconds"] < 60


def test_only_one_of_two_relays_publishes_and_the_other_takes_over(bus: MemoryBus, relay: Relay) -> None:
    second_bus = MemoryBus()
    with running(Relay(publisher=second_bus.publisher)) as second:
        eventually(lambda: second.pulse.ready)
        publish_committed(stock_changed())
        eventually(lambda: pending() == 0)
        assert (len(arrived(bus)), len(arrived(second_bus))) == (1, 0)
        bus.down = True
        publish_committed(stock_changed())
        eventually(lambda: arrived(second_bus))
    assert pending() == 0


def test_a_leader_that_freezes_loses_the_lock_and_can_mark_nothing_any_more() -> None:
    with direct.connect() as frozen:
        assert frozen.execute("SELECT pg_try_advisory_lock(%s)", (LOCK_KEY,)).fetchone() == (True,)
        frozen.execute("SET idle_session_timeout = '300ms'")  # 8 s in earnest
        with direct.connect() as next_one:
            eventually(
                lambda: next_one.execute("SELECT pg_try_advisory_lock(%s)", (LOCK_KEY,)).fetchone() == (True,)
            )
        with pytest.raises(psycopg.OperationalError):
            frozen.execute("UPDATE outbox_event SET published_at = now()")


def test_two_batches_are_on_their_way_and_each_is_marked_by_its_own_confirmation(
    bus: MemoryBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "BATCH", 3)
    steps: list[tuple[str, int]] = []

    class Watching(MemoryPublisher):
        def send(self, batch: Sequence[Outgoing]) -> Flight:
            steps.append(("send", len(batch)))
            return super().send(batch)

        def confirm(self, flight: Flight) -> PublishResult:
            steps.append(("confirm", pending_elsewhere()))
            return super().confirm(flight)

    publish_committed(*[stock_changed() for _ in range(8)])
    with running(Relay(publisher=lambda: Watching(bus))):
        eventually(lambda: pending() == 0)
    assert steps == [("send", 3), ("send", 3), ("confirm", 8), ("send", 2), ("confirm", 5), ("confirm", 2)]


def test_of_two_batches_on_their_way_that_no_queue_takes_both_stay_and_rest_once(
    bus: MemoryBus, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "BATCH", 2)
    bus.missing_queues = {"svc-cart", "svc-catalog"}
    publish_committed(*[stock_changed() for _ in range(4)])
    eventually(lambda: bus.declared == 2)
    assert relay._blocked._backoffs["stock.changed.v1"]._failures == 1
    bus.missing_queues = set()
    eventually(lambda: pending() == 0)
    assert len(arrived(bus)) == 4


# On the real bus, with real processes


def received(count: int, *, within: float = 20.0) -> list[bytes]:
    bodies: list[bytes] = []
    deadline = time.monotonic() + within
    with Subscription(settings.EVENTS_BROKER_URL, "svc-cart") as subscription:
        while len(bodies) < count and time.monotonic() < deadline:
            if deliveries := subscription.receive(most=50, wait=0.5, window=0.01):
                subscription.ack(deliveries[-1])
                bodies += [delivery.body for delivery in deliveries]
    return bodies


def test_the_relay_brings_events_to_rabbitmq(broker: Connection) -> None:
    with running(Relay()):
        publish_committed(*[stock_changed() for _ in range(1200)])
        eventually(lambda: pending() == 0)
    assert sorted(received(1200)) == sorted(row.body.encode() for row in OutboxEvent.objects.all())


def test_events_written_while_rabbitmq_is_cut_off_arrive_when_it_is_back(events_wire: Wire) -> None:
    with running(Relay()) as relay:
        publish_committed(stock_changed())
        eventually(lambda: pending() == 0)
        events_wire.cut()
        publish_committed(stock_changed())
        eventually(lambda: not relay.pulse.ready)
        time.sleep(0.5)
        assert pending() == 1
        events_wire.heal()
        eventually(lambda: pending() == 0, within=15)
    assert len(received(2)) >= 2


def test_a_connection_that_is_lost_between_two_batches_costs_only_the_one_without_a_confirmation(
    events_wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "BATCH", 3)
    monkeypatch.setattr("shared_lib.events.bus.CONFIRM_SECONDS", 0.5)
    flights: list[Flight] = []
    left: list[int] = []

    class Losing(Publisher):
        """The second batch never gets to the broker, whose word on the first one has come by then."""

        def send(self, batch: Sequence[Outgoing], *, replay_to: str = "") -> Flight:
            if len(flights) == 1:
                time.sleep(0.3)
                events_wire.freeze()
                time.sleep(0.1)
            flights.append(super().send(batch, replay_to=replay_to))
            return flights[-1]

        def confirm(self, flight: Flight) -> PublishResult:
            try:
                return super().confirm(flight)
            except BusUnavailable:
                left.append(pending_elsewhere())
                events_wire.cut()
                events_wire.heal()
                raise

    publish_committed(*[stock_changed() for _ in range(6)])
    with running(Relay(publisher=lambda: Losing(settings.EVENTS_BROKER_URL, settings.SERVICE_NAME))):
        eventually(lambda: pending() == 0, within=15)
    assert left == [3]
    assert len(flights) == 3
    bodies = sorted(row.body.encode() for row in OutboxEvent.objects.all())
    assert sorted(received(7, within=3)) == bodies


def test_a_second_process_takes_over_within_ten_seconds_when_the_first_is_killed(broker: Connection) -> None:
    with events_process() as first:
        first.says("relay_leads")
        with events_process() as second:
            second.says("events_started")
            publish_committed(stock_changed())
            eventually(lambda: pending() == 0)
            assert "relay_leads" not in second.output
            stop = threading.Event()
            writer = threading.Thread(target=_write_until, args=(stop,))
            writer.start()
            first.signal(signal.SIGKILL)
            killed_at = time.monotonic()
            second.says("relay_leads", within=10)
            assert time.monotonic() - killed_at < 10
            stop.set()
            writer.join()
            eventually(lambda: pending() == 0)
            second.signal(signal.SIGTERM)
            assert second.wait() == 0
    sent = {row.body.encode() for row in OutboxEvent.objects.all()}
    assert set(received(len(sent))) == sent


def _write_until(stop: threading.Event) -> None:
    while not stop.is_set():
        publish_committed(stock_changed())
        stop.wait(0.02)
    connection.close()


def test_a_frozen_process_loses_its_leadership_within_ten_seconds(broker: Connection) -> None:
    """With a fourth of the silence that is allowed in earnest (8 s), within a fourth of the time and a poll."""
    assert settings.RELAY_SILENCE_MS == 8000
    with events_process(RELAY_SILENCE_MS="2000") as first:
        first.says("relay_leads")
        with events_process(RELAY_SILENCE_MS="2000") as second:
            second.says("events_started")
            first.signal(signal.SIGSTOP)
            frozen_at = time.monotonic()
            publish_committed(stock_changed())
            eventually(lambda: pending() == 0, within=12)
            assert time.monotonic() - frozen_at < 4.5
            first.signal(signal.SIGCONT)
            first.says("events_interrupted")
            second.signal(signal.SIGTERM)
            second.wait()


def test_retention_deletes_what_was_published_long_ago_and_nothing_else(settings: Any) -> None:
    from datetime import timedelta

    from django.utils import timezone

    from shared_lib.outbox.retention import delete_published, oldest_key_after

    long_ago = timezone.now() - timedelta(days=30)
    old_key = oldest_key_after(int(long_ago.timestamp() * 1000))
    recent, unpublished, published = publish_committed(stock_changed(), stock_changed(), stock_changed())
    OutboxEvent.objects.filter(id=recent.id).update(published_at=timezone.now())
    for number, (key, published_at) in enumerate([(published.id, long_ago), (unpublished.id, None)]):
        OutboxEvent.objects.filter(id=key).update(
            id=type(key)(int=old_key.int + number), published_at=published_at
        )
    assert delete_published() == 1
    assert OutboxEvent.objects.filter(published_at=None).count() == 1
    assert OutboxEvent.objects.filter(id=recent.id).exists()
