"""Events that were under way at the moment of a backup: the broker's queues are not in it, so they are sent once more."""

from collections.abc import Mapping
from typing import Any

import psycopg

from shared_lib.contracts.subscriptions import produced_types, subscribed_types

Connection = psycopg.Connection[Any]


def send_again(connections: Mapping[str, Connection]) -> int:
    """Mark as unpublished what a subscriber has not received; returns how many events.

    Exact, since all databases show one moment: an event is in its producer's outbox (kept for 7 days after it was published)
    and, once received, in the inbox (kept for 14) of each subscriber. Those that have it already drop the second copy.
    """
    again: dict[str, set[Any]] = {service: set() for service in connections}
    for producer, out in connections.items():
        for consumer, inbox in connections.items():
            types = sorted(produced_types(producer) & subscribed_types(consumer))
            if not types:
                continue
            sent = out.execute(
                "SELECT id FROM outbox_event WHERE published_at IS NOT NULL AND type = ANY(%s)", (types,)
            ).fetchall()
            got = inbox.execute("SELECT event_id FROM inbox_event WHERE type = ANY(%s)", (types,)).fetchall()
            again[producer] |= {row[0] for row in sent} - {row[0] for row in got}
    for producer, ids in again.items():
        connections[producer].execute(
            "UPDATE outbox_event SET published_at = NULL WHERE id = ANY(%s)", (list(ids),)
        )
    return sum(map(len, again.values()))
