"""Exchanges, queues and bindings, made from the contracts and the table of subscriptions.

    shop.events          topic exchange; the routing key is the event type
    SERVICE.events       quorum queue of one consuming service, bound to the types of its row
    shop.events.direct   for one queue alone, which the routing key names: what nobody could decode, and replays
    SERVICE.events.dead  quorum queue where the undecodable messages of SERVICE wait for a person

A service declares what it consumes and what the consumers of its own events need. Whoever starts first makes it, so that
an event is kept for a consumer that has never run yet. No queue names a dead-letter exchange: declaring one would take the
right to read it, and so every producer could read what its consumers get. The consumer itself moves what it cannot decode.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import structlog
from amqp.exceptions import PreconditionFailed
from kombu import Connection, Exchange, Queue, binding

from shared_lib.contracts.subscriptions import SUBSCRIPTIONS, produced_types, subscribed_types

log = structlog.get_logger(__name__)

EVENTS = Exchange("shop.events", type="topic", durable=True)
# A topic exchange too, since RabbitMQ grants rights by routing key on these alone (`shared_lib.events.permissions`).
DIRECT = Exchange("shop.events.direct", type="topic", durable=True)

# RabbitMQ 4 drops a message after 20 redeliveries unless told otherwise, and 3.10 reads -1 as "at once". Consumers that
# are killed must never cost an event; what fails is counted in the inbox instead.
DELIVERY_LIMIT = 1_000_000


def queue_name(service: str) -> str:
    return f"{service}.events"


def dead_queue_name(service: str) -> str:
    return f"{service}.events.dead"


def events_queue(service: str, event_types: frozenset[str]) -> Queue:
    own = binding(DIRECT, routing_key=queue_name(service))
    types = [binding(EVENTS, routing_key=event_type) for event_type in sorted(event_types)]
    return _quorum(queue_name(service), [own, *types])


def dead_queue(service: str) -> Queue:
    name = dead_queue_name(service)
    return _quorum(name, [binding(DIRECT, routing_key=name)])


def _quorum(name: str, bindings: list[Any]) -> Queue:
    arguments = {"x-queue-type": "quorum", "x-delivery-limit": DELIVERY_LIMIT}
    return Queue(name, bindings=bindings, durable=True, queue_arguments=arguments)


def declared_services(service: str) -> tuple[str, ...]:
    """The services whose queues `service` declares: itself, and everybody who consumes what it produces."""
    produced = produced_types(service)
    return tuple(each for each in SUBSCRIPTIONS if each == service or subscribed_types(each) & produced)


def queues_for(service: str) -> Iterator[Queue]:
    """The queues that `service` declares: its own, and those of everybody who consumes what it produces.

    A foreign queue gets only the bindings of this service's events; the others are its producers' and its own business.
    """
    produced = produced_types(service)
    for consumer in declared_services(service):
        consumed = subscribed_types(consumer)
        yield dead_queue(consumer)
        yield events_queue(consumer, consumed if consumer == service else consumed & produced)


def declare(connection: Connection, service: str) -> None:
    """Declares what `service` needs. Doing it again, or several at once, changes nothing."""
    with connection.channel() as channel:
        for exchange in (EVENTS, DIRECT):
            exchange(channel).declare()
    for queue in queues_for(service):
        _declare_queue(connection, queue)


def _declare_queue(connection: Connection, queue: Queue) -> None:
    channel = connection.channel()
    try:
        queue(channel).queue_declare()
    except PreconditionFailed as error:
        # Another version of the shop made this queue with other arguments. Arguments of a queue cannot be changed, and
        # its messages are worth more than its arguments: it is used as it is.
        log.warning("queue_kept_as_it_is", queue=queue.name, reason=str(error))
        channel = connection.channel()
        queue(channel).queue_declare(passive=True)
    _bind(channel, queue)
    channel.close()


def _bind(channel: Any, queue: Queue) -> None:
    bound = queue(channel)
    for each in queue.bindings:
        each.bind(bound, channel=channel)
