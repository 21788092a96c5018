"""The bus on a real RabbitMQ."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings
from effects.support import Wire, eventually, stock_changed
from kombu import Connection, Queue

from shared_lib.contracts.events import StockLow
from shared_lib.events import topology
from shared_lib.events.bus import BusUnavailable, Outgoing, Publisher, Subscription
from shared_lib.events.dead_queue import DeadQueue
from shared_lib.events.envelope import CONTENT_TYPE, encode, wrap

pytestmark = pytest.mark.usefixtures("broker")


def outgoing(event: Any = None) -> Outgoing:
    envelope = wrap(event or stock_changed(), subject="x")
    return Outgoing(envelope.id, envelope.type, encode(envelope))


def open_publisher() -> Publisher:
    return Publisher(settings.EVENTS_BROKER_URL, "svc-catalog")


def open_subscription(service: str = "svc-catalog") -> Subscription:
    return Subscription(settings.EVENTS_BROKER_URL, service)


def receive(subscription: Subscription, count: int) -> list[bytes]:
    bodies: list[bytes] = []
    for _ in range(count * 5):
        deliveries = subscription.receive(most=50, wait=1, window=0.01)
        if deliveries:
            subscription.ack(deliveries[-1])
            bodies += [delivery.body for delivery in deliveries]
        if len(bodies) >= count:
            break
    return bodies


def receive_until_told(subscription: Subscription) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        subscription.receive(most=1, wait=0.2, window=0)


def test_a_batch_is_confirmed_and_reaches_every_subscriber() -> None:
    batch = [outgoing() for _ in range(150)]
    with open_publisher() as publisher:
        result = publisher.publish(batch)
    assert sorted(result.confirmed) == sorted(each.id for each in batch)
    assert (result.unroutable, result.refused) == ([], [])
    for service in ("svc-catalog", "svc-cart"):
        with open_subscription(service) as subscription:
            assert sorted(receive(subscription, 150)) == sorted(each.body for each in batch)


def test_two_flights_are_confirmed_each_for_itself_in_any_order() -> None:
    one, other = [outgoing() for _ in range(120)], [outgoing() for _ in range(130)]
    with open_publisher() as publisher:
        flights = publisher.send(one), publisher.send(other)
        assert sorted(publisher.confirm(flights[1]).confirmed) == sorted(each.id for each in other)
        assert sorted(publisher.confirm(flights[0]).confirmed) == sorted(each.id for each in one)
        assert publisher._unconfirmed == {}


def test_a_message_says_what_it_is(broker: Connection) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    plain, traced, again = outgoing(), replace(outgoing(), traceparent=trace), outgoing()
    with open_publisher() as publisher:
        publisher.publish([plain, traced])
        publisher.publish([again], replay_to="svc-catalog.events")
        publisher.publish([replace(again, traceparent=trace)], replay_to="svc-catalog.events")
    messages = [broker.default_channel.basic_get("svc-catalog.events", no_ack=True) for _ in range(4)]
    for message, event in zip(messages, (plain, traced, again, again), strict=True):
        properties = dict(message.properties)
        properties.pop("application_headers")
        assert properties == {
            "content_type": CONTENT_TYPE,
            "delivery_mode": 2,
            "message_id": str(event.id),
            "type": "stock.changed.v1",
            "app_id": "svc-catalog",
        }
        assert message.body in (event.body, event.body.decode())
    replay = {"x-shop-replay": True}
    own = [
        {name: value for name, value in message.headers.items() if name != "x-delivery-count"}
        for message in messages
    ]
    assert own == [
        {},
        {"traceparent": trace},
        replay,
        {**replay, "traceparent": trace},
    ]


def test_a_producer_makes_the_queue_of_a_consumer_that_has_never_run(broker: Connection) -> None:
    broker.default_channel.queue_delete("svc-cart.events")
    event = outgoing()
    with open_publisher() as publisher:
        assert publisher.publish([event]).confirmed == [event.id]
    with open_subscription("svc-cart") as subscription:
        assert receive(subscription, 1) == [event.body]


def test_an_event_whose_subscribers_have_no_queue_is_unroutable_and_its_neighbours_are_not(
    broker: Connection,
) -> None:
    before, lost, after = (
        outgoing(
            StockLow(
                version=1,
                variant_id=outgoing().id,
                product_id=outgoing().id,
                seller_id=outgoing().id,
                available=1,
            )
        ),
        outgoing(),
        outgoing(),
    )
    with open_publisher() as publisher:
        for queue in ("svc-catalog.events", "svc-cart.events"):
            broker.default_channel.queue_unbind(queue, "shop.events", "stock.changed.v1")
        result = publisher.publish([before, lost, after])
        assert result.confirmed == [before.id]
        assert sorted(result.unroutable) == sorted([lost.id, after.id])
        publisher.declare()
        assert publisher.publish([lost]).confirmed == [lost.id]


def test_an_event_that_nobody_consumes_is_published_all_the_same() -> None:
    ids = [outgoing().id for _ in range(3)]
    event = outgoing(StockLow(version=1, variant_id=ids[0], product_id=ids[1], seller_id=ids[2], available=1))
    with open_publisher() as publisher:
        assert publisher.publish([event]).confirmed == [event.id]


def test_what_is_not_acknowledged_comes_back_and_says_how_often(broker: Connection) -> None:
    """More often than RabbitMQ 4 allows by itself: a consumer that is killed again and again costs no event."""
    broker.default_channel.queue_delete("svc-catalog.events")
    event = outgoing()
    with open_publisher() as publisher:
        publisher.publish([event])
    for redeliveries in range(25):
        with open_subscription() as subscription:
            (delivery,) = subscription.receive(most=50, wait=2, window=0)
            assert (delivery.body, delivery.redeliveries) == (event.body, redeliveries)


def dead_messages(broker: Connection, service: str = "svc-catalog") -> int:
    return broker.default_channel.queue_declare(f"{service}.events.dead", passive=True).message_count


def test_a_rejected_message_waits_in_the_dead_letter_queue(broker: Connection) -> None:
    event = outgoing()
    with open_publisher() as publisher, open_subscription() as subscription:
        publisher.publish([event])
        (delivery,) = subscription.receive(most=50, wait=2, window=0)
        subscription.reject(delivery, "no envelope")
        assert subscription.waiting_dead() == 1
        assert subscription.receive(most=50, wait=0.2, window=0) == []
    with DeadQueue(settings.EVENTS_BROKER_URL, "svc-catalog") as queue:
        (message,) = queue.take(10)
        assert (message.body, message.reason) == (event.body, "no envelope")
        assert message.moved_at is not None
    eventually(lambda: dead_messages(broker) == 1)


def test_a_message_that_cannot_be_put_aside_stays_where_it_is(broker: Connection) -> None:
    event = outgoing()
    with open_publisher() as publisher, open_subscription() as subscription:
        publisher.publish([event])
        (delivery,) = subscription.receive(most=50, wait=2, window=0)
        broker.default_channel.queue_delete("svc-catalog.events.dead")
        with pytest.raises(BusUnavailable):
            subscription.reject(delivery, "no envelope")
    with open_subscription() as subscription:
        assert receive(subscription, 1) == [event.body]


def test_no_more_is_handed_out_than_was_asked_for() -> None:
    with open_publisher() as publisher, open_subscription() as subscription:
        publisher.publish([outgoing() for _ in range(70)])
        sizes = [len(subscription.receive(most=50, wait=2, window=0.5)) for _ in range(2)]
    assert sizes == [50, 20]


def test_what_has_arrived_is_taken_whole_however_short_the_window_is() -> None:
    with open_publisher() as publisher, open_subscription() as subscription:
        publisher.publish([outgoing() for _ in range(150)])
        time.sleep(0.3)
        sizes = [len(subscription.receive(most=50, wait=2, window=0)) for _ in range(3)]
    assert sizes == [50, 50, 50]


def test_declaring_twice_and_beside_each_other_changes_nothing() -> None:
    with open_publisher() as one, open_publisher() as other:
        one.declare()
        other.declare()
        event = outgoing()
        assert one.publish([event]).confirmed == [event.id]


def test_a_queue_that_another_version_made_otherwise_is_used_as_it_is(broker: Connection) -> None:
    channel = broker.default_channel
    channel.queue_delete("svc-accounts.events")
    Queue("svc-accounts.events", durable=True, queue_arguments={"x-queue-type": "quorum"})(channel).declare()
    try:
        topology.declare(broker, "svc-accounts")
        topology.declare(broker, "svc-accounts")
    finally:
        broker.channel().queue_delete("svc-accounts.events")


def test_a_broker_that_is_away_is_said_to_be_unavailable(events_wire: Wire) -> None:
    with open_publisher() as publisher, open_subscription() as subscription:
        events_wire.cut()
        with pytest.raises(BusUnavailable):
            publisher.publish([outgoing()])
        with pytest.raises(BusUnavailable):
            subscription.receive(most=1, wait=5, window=0)
        with pytest.raises(BusUnavailable):
            open_publisher()


def test_a_broker_that_falls_silent_is_noticed_by_the_missing_confirmation(
    events_wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared_lib.events.bus.CONFIRM_SECONDS", 0.5)
    with open_publisher() as publisher:
        events_wire.freeze()
        with pytest.raises(BusUnavailable, match="no confirmation"):
            publisher.publish([outgoing()])
        started = time.monotonic()
    # Closing asks the other side, too, and does not wait for its answer for ever.
    assert time.monotonic() - started < 5


def test_a_broker_that_falls_silent_is_noticed_by_the_missing_heartbeat(
    events_wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared_lib.events.bus.HEARTBEAT_SECONDS", 1)
    with open_subscription() as subscription:
        events_wire.freeze()
        started = time.monotonic()
        with pytest.raises(BusUnavailable):
            receive_until_told(subscription)
        assert time.monotonic() - started < 10
        events_wire.cut()


def test_a_consumer_whose_queue_is_deleted_is_told(broker: Connection) -> None:
    with open_subscription() as subscription:
        broker.default_channel.queue_delete("svc-catalog.events")
        with pytest.raises(BusUnavailable):
            receive_until_told(subscription)
    topology.declare(broker, "svc-catalog")
