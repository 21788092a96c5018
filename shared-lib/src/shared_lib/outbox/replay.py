"""Publishing old events again, for one consumer and only for handlers that are marked `replayable`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.db.models import QuerySet

from shared_lib.contracts.subscriptions import SUBSCRIPTIONS, produced_types, subscribed_types
from shared_lib.events.bus import BATCH, BusUnavailable, Outgoing, Publisher
from shared_lib.events.topology import queue_name
from shared_lib.outbox.models import OutboxEvent


class CannotReplay(ValueError):
    """The replay that was asked for makes no sense."""


def events_for(
    consumer: str, *, since: datetime, until: datetime | None = None, event_type: str = ""
) -> QuerySet[OutboxEvent]:
    """Published events of this service that `consumer` subscribes to, oldest first.

    Only what retention has left is there: a read model is rebuilt from snapshot pages instead. Raises `CannotReplay`.
    """
    if consumer not in SUBSCRIPTIONS:
        raise CannotReplay(f"{consumer} is not one of the services {', '.join(SUBSCRIPTIONS)}.")
    types = subscribed_types(consumer) & produced_types(settings.SERVICE_NAME)
    if event_type and event_type not in types:
        raise CannotReplay(f"{consumer} consumes no {event_type} of {settings.SERVICE_NAME}.")
    if not types:
        raise CannotReplay(f"{consumer} consumes no event of {settings.SERVICE_NAME}.")
    rows = OutboxEvent.objects.filter(type__in=[event_type] if event_type else types, created_at__gte=since)
    rows = rows.filter(published_at__isnull=False)
    if until is not None:
        rows = rows.filter(created_at__lt=until)
    return rows.order_by("id")


def replay(consumer: str, rows: QuerySet[OutboxEvent]) -> Iterator[int]:
    """Publishes `rows` to the queue of `consumer`; yields how many are confirmed so far.

    Raises `BusUnavailable` when the broker is away or refuses one; it can be run again from the start.
    """
    sent = 0
    with Publisher(settings.EVENTS_BROKER_URL, settings.SERVICE_NAME) as publisher:
        batch: list[Outgoing] = []
        for row in rows.iterator(chunk_size=BATCH):
            batch.append(Outgoing(row.id, row.type, row.body.encode()))
            if len(batch) == BATCH:
                sent += _send(publisher, consumer, batch)
                batch = []
                yield sent
        if batch:
            sent += _send(publisher, consumer, batch)
            yield sent


def _send(publisher: Publisher, consumer: str, batch: list[Outgoing]) -> int:
    result = publisher.publish(batch, replay_to=queue_name(consumer))
    if result.unroutable or result.refused:
        raise BusUnavailable(
            f"{len(result.unroutable) + len(result.refused)} events were not taken by the broker"
        )
    return len(result.confirmed)
