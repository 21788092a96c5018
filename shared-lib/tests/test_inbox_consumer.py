"""The consumer on a real RabbitMQ and a real PostgreSQL, also as a process that is killed."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from effects import event_handlers as handlers
from effects.models import Effect
from effects.support import Wire, events_process, eventually, publish_committed, running, stock_changed
from kombu import Connection

from shared_lib.contracts.events import StockChanged
from shared_lib.events import metrics
from shared_lib.events.bus import Outgoing, Publisher, Subscription
from shared_lib.events.envelope import encode, wrap
from shared_lib.events.memory import MemoryBus
from shared_lib.inbox import schedule
from shared_lib.inbox.consumer import Consumer
from shared_lib.inbox.models import InboxEvent, Status
from shared_lib.outbox.models import OutboxEvent
from shared_lib.outbox.relay import Relay

pytestmark = pytest.mark.django_db(transaction=True)


def send(*events: StockChanged, url: str = "", times: int = 1) -> None:
    outgoing = []
    for event in events:
        envelope = wrap(event, subject=str(event.variant_id))
        outgoing += [Outgoing(envelope.id, envelope.type, encode(envelope))] * times
    with Publisher(url or settings.EVENTS_BROKER_URL, "svc-catalog") as publisher:
        assert len(publisher.publish(outgoing).confirmed) == len(outgoing)


def messages_in(broker: Connection, queue: str) -> int:
    return broker.default_channel.queue_declare(queue, passive=True).message_count


def effects() -> int:
    return Effect.objects.count()


def processed() -> int:
    return InboxEvent.objects.filter(status=Status.PROCESSED).count()


def test_what_the_relay_sends_takes_effect_and_leaves_the_queue(broker: Connection) -> None:
    with running(Relay()), running(Consumer()):
        publish_committed(*[stock_changed() for _ in range(300)])
        eventually(lambda: effects() == 300)
    assert processed() == 300
    assert messages_in(broker, "svc-catalog.events") == 0


def test_messages_that_came_twice_take_effect_once_with_two_consumers(broker: Connection) -> None:
    send(*[stock_changed() for _ in range(60)], times=3)
    with running(Consumer()), running(Consumer()):
        eventually(lambda: effects() == 60)
        eventually(lambda: messages_in(broker, "svc-catalog.events") == 0)
    time.sleep(0.2)
    assert (effects(), processed()) == (60, 60)


def test_what_cannot_be_decoded_goes_to_the_broker_s_dead_letter_queue(broker: Connection) -> None:
    before = metrics.UNDECODABLE._value.get()
    send(stock_changed())
    channel = broker.default_channel
    for body in (b"not json", b"\xff\x00", json.dumps({"specversion": "1.0"}).encode()):
        channel.basic_publish(channel.prepare_message(body), "shop.events", "stock.changed.v1")
    send(stock_changed())
    with running(Consumer()):
        eventually(lambda: effects() == 2)
        eventually(lambda: messages_in(broker, "svc-catalog.events.dead") == 3)
    assert metrics.UNDECODABLE._value.get() == before + 3
    assert messages_in(broker, "svc-catalog.events") == 0


def test_a_failed_event_is_acknowledged_and_tried_again_from_its_row(
    broker: Connection, behaviours: dict[Any, Any]
) -> None:
    behaviours[StockChanged] = handlers.fail
    send(stock_changed())
    with running(Consumer()):
        eventually(lambda: InboxEvent.objects.filter(status=Status.WAITING, attempts=1).exists())
        eventually(lambda: messages_in(broker, "svc-catalog.events") == 0)
        behaviours.clear()
        eventually(lambda: effects() == 1, within=5)
    assert processed() == 1


def test_a_deferred_event_is_tried_again_within_a_second(
    broker: Connection, behaviours: dict[Any, Any]
) -> None:
    behaviours[StockChanged] = handlers.too_early
    send(stock_changed())
    with running(Consumer()):
        eventually(lambda: InboxEvent.objects.filter(deferrals__gte=2).exists(), within=2)
        behaviours.clear()
        eventually(lambda: effects() == 1, within=3)


def test_nothing_is_acknowledged_before_the_commit() -> None:
    """Acks are seen in the order of what happened: the effect must be visible to another session at that moment."""
    bus, seen = MemoryBus(), []

    class Watching(type(bus.subscription("svc-catalog"))):  # type: ignore[misc]
        def ack(self, delivery: Any) -> None:
            from shared_lib.outbox import direct

            with direct.connect() as other:
                row = other.execute("SELECT count(*) FROM effects_effect").fetchone()
                seen.append(row and row[0])
            super().ack(delivery)

    for _ in range(10):
        bus.queues["svc-catalog"].append(encode(wrap(stock_changed(), subject="x")))
    with running(Consumer(subscription=lambda: Watching(bus, "svc-catalog"))):
        eventually(lambda: seen)
    assert seen == [10]


def test_a_consumer_survives_a_broker_that_is_cut_off(events_wire: Wire) -> None:
    direct_url = settings.EVENTS_BROKER_URL.replace(str(events_wire.port), str(events_wire._target[1]))
    with running(Consumer()) as consumer:
        send(stock_changed(), url=direct_url)
        eventually(lambda: effects() == 1)
        events_wire.cut()
        eventually(lambda: not consumer.pulse.ready)
        send(stock_changed(), url=direct_url)
        time.sleep(0.5)
        assert effects() == 1
        events_wire.heal()
        eventually(lambda: effects() == 2, within=15)


def test_a_consumer_whose_session_is_ended_gives_the_batch_its_effect_once(
    broker: Connection, behaviours: dict[Any, Any]
) -> None:
    lost: list[int] = []

    def lose_once(event: StockChanged) -> None:
        handlers.count(event)
        if event.available == -1 and not lost:
            lost.append(1)
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    behaviours[StockChanged] = lose_once
    send(
        *[stock_changed() for _ in range(20)],
        stock_changed(available=-1),
        *[stock_changed() for _ in range(20)],
    )
    with running(Consumer()):
        eventually(lambda: effects() == 41)
        eventually(lambda: messages_in(broker, "svc-catalog.events") == 0)
    assert lost
    assert (effects(), processed()) == (41, 41)


# The process


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def test_a_process_tells_its_health_drains_on_sigterm_and_ends_with_zero(broker: Connection) -> None:
    port = free_port()
    with events_process(EVENTS_HEALTH_PORT=str(port)) as process:
        eventually(lambda: get(port, "/readyz")[0] == 200, within=20)
        assert get(port, "/healthz")[0] == 200
        assert get(port, "/nothing")[0] == 404
        published = publish_committed(*[stock_changed() for _ in range(50)])
        eventually(lambda: effects() == 50)
        status, text = get(port, "/metrics")
        assert status == 200
        assert 'shop_outbox_published_total{type="stock.changed.v1"} 50.0' in text
        assert 'shop_inbox_events_total{outcome="processed",type="stock.changed.v1"} 50.0' in text
        started = time.monotonic()
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
        assert time.monotonic() - started < 10
    lines = [json.loads(line) for line in process.output.splitlines() if '"event_processed"' in line]
    told = sorted((line["event_id"], line["request_id"], line["type"]) for line in lines)
    assert told == sorted((str(event.id), event.cause, event.type) for event in published)


def test_a_process_whose_handlers_do_not_fit_does_not_start() -> None:
    with events_process(SHOP_TEST_EVENT_HANDLERS="effects.nowhere.EVENT_HANDLERS") as process:
        assert process.wait(within=30) != 0
        assert "effects.nowhere" in process.output


def test_a_process_with_a_wrong_health_port_says_so() -> None:
    with events_process(EVENTS_HEALTH_PORT="http") as process:
        assert process.wait(within=30) != 0
        assert '"EVENTS_HEALTH_PORT" must be a whole number from 1 to 65535' in process.output


def test_a_consumer_killed_again_and_again_loses_nothing_and_doubles_nothing(broker: Connection) -> None:
    for round_ in range(3):
        with events_process() as process:
            process.says("relay_leads")
            publish_committed(*[stock_changed() for _ in range(400)])
            eventually(lambda: effects() > 400 * round_ + 20, within=20)  # noqa: B023  called in this round only
            process.signal(signal.SIGKILL)
            process.wait()
    with events_process() as process:
        eventually(lambda: effects() == 1200, within=20)
        eventually(lambda: not OutboxEvent.objects.filter(published_at=None).exists())
        process.signal(signal.SIGTERM)
        process.wait()
    assert (effects(), processed()) == (1200, 1200)
    keys = Effect.objects.values_list("event_key", flat=True)
    assert len(set(keys)) == 1200


def test_an_event_that_kills_its_process_ends_up_aside_and_the_others_take_effect(broker: Connection) -> None:
    send(
        *[stock_changed() for _ in range(5)],
        stock_changed(available=666),
        *[stock_changed() for _ in range(5)],
    )
    for _ in range(schedule.SUSPECT_AFTER - 1):  # as often it was handed out in vain
        with Subscription(settings.EVENTS_BROKER_URL, "svc-catalog") as subscription:
            subscription.receive(most=50, wait=2, window=0.2)
    for _ in range(5):
        with events_process(STOCK_CHANGED="kill") as process:
            deadline = time.monotonic() + 20
            while process.poll() is None and effects() < 10 and time.monotonic() < deadline:
                time.sleep(0.05)
            if effects() == 10:
                break
    assert effects() == 10
    row = InboxEvent.objects.get(status=Status.WAITING)
    assert row.envelope.event().available == 666  # type: ignore[attr-defined]


def test_a_process_outlives_an_outage_of_postgresql(broker: Connection) -> None:
    target = connection.settings_dict
    with Wire(target["HOST"], int(target["PORT"])) as wire:
        url = f"postgresql://{target['USER']}:{target['PASSWORD']}@127.0.0.1:{wire.port}/{target['NAME']}"
        with events_process(DATABASE_URL=url) as process:
            process.says("relay_leads")
            publish_committed(*[stock_changed() for _ in range(20)])
            eventually(lambda: effects() == 20)
            wire.cut()
            process.says("events_interrupted")
            publish_committed(*[stock_changed() for _ in range(20)])
            time.sleep(2)
            assert effects() == 20
            wire.heal()
            eventually(lambda: effects() == 40, within=20)
            assert messages_in(broker, "svc-catalog.events") == 0
            process.signal(signal.SIGTERM)
            assert process.wait() == 0
    assert process.output.count("events_interrupted") < 40


def test_a_loop_that_dies_ends_the_process_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from shared_lib.events.loops import Pulse
    from shared_lib.events.process import EventsProcess

    monkeypatch.setattr("shared_lib.events.process.signal.signal", lambda *_: None)

    class Sound:
        name = "sound"

        def __init__(self) -> None:
            self.pulse = Pulse()

        def run(self, stop: Any) -> None:
            while not stop.wait(0.05):
                self.pulse.beat()

    class Dying(Sound):
        name = "dying"

        def run(self, stop: Any) -> None:
            raise RuntimeError("a bug")

    class Ending(Sound):
        name = "ending"

        def run(self, stop: Any) -> None: ...

    class Stuck(Sound):
        name = "stuck"

        def run(self, stop: Any) -> None:
            stop.wait(20)

    for bad in (Dying(), Ending(), Stuck()):
        started = time.monotonic()
        assert EventsProcess([Sound(), bad], silent_seconds=0.5).run() == 1
        assert time.monotonic() - started < 5
