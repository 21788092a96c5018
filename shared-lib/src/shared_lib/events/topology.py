"""Exchanges, queues and bindings, made from the contracts and the table of subscriptions.

    shop.events        topic exchange; the routing key is the event type
    SERVICE.events     quorum queue of one consuming service, bound to the types of its row
    shop.events.dead   direct exchange for messages that nobody could decode
    SERVICE.events.dead  where those of SERVICE wait for a person

A service declares what it consumes and what the consumers of its own events need. Whoever starts first makes it, so that
an event is kept for a consumer that has never run yet.
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
DEAD = Exchange("shop.events.dead", type="direct", durable=True)

# RabbitMQ 4 drops a message after 20 redeliveries unless told otherwise, and 3.10 reads -1 as "at once". Consumers that
# are killed must never cost an event; what fails is counted in the inbox instead.
DELIVERY_LIMIT = 1_000_000


def queue_name(service: str) -> str:
    return f"{service}.events"


def dead_queue_name(service: str) -> str:
    return f"{service}.events.dead"


def events_queue(service: str, event_types: frozenset[str]) -> Queue:
    name = queue_name(service)
    return Queue(
        name,
        bindings=[binding(EVENTS, routing_key=event_type) for event_type in sorted(event_types)],
        durable=True,
        queue_arguments={
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-exchange": DEAD.name,
            "x-dead-letter-routing-key": name,
            # A rejected message leaves this queue only when the dead-letter queue has confirmed it.
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        },
    )


def dead_queue(service: str) -> Queue:
    return Queue(
        dead_queue_name(service),
        bindings=[binding(DEAD, routing_key=queue_name(service))],
        durable=True,
        queue_arguments={"x-queue-type": "quorum"},
    )


def queues_for(service: str) -> Iterator[Queue]:
    """The queues that `service` declares: its own, and those of everybody who consumes what it produces.

    A foreign queue gets only the bindings of this service's events; the others are its producers' and its own business.
    """
    produced = produced_types(service)
    for consumer in SUBSCRIPTIONS:
        consumed = subscribed_types(consumer)
        if consumer == service:
            yield dead_queue(consumer)
            yield events_queue(consumer, consumed)
        elif shared := consumed & produced:
            yield dead_queue(consumer)
            yield events_queue(consumer, shared)


def declare(connection: Connection, service: str) -> None:
    """Declares what `service` needs. Doing it again, or several at once, changes nothing."""
    with connection.channel() as channel:
        for exchange in (EVENTS, DEAD):
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
