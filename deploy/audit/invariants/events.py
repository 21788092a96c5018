"""Events: from the step that is told, by the outbox, to the inbox of every service that acts on it."""

from __future__ import annotations

import time

from audit.invariants.money import PAYMENTS
from audit.invariants.orders import ORDERS
from audit.model import SERVICES, Judge, Match, Row, Rows, Source, Verdict, invariant
from shared_lib.contracts.subscriptions import produced_types, subscribed_types

# Published events are kept for 7 days and settled ones of an inbox for 14: what is compared is younger.
_TOLD_DAYS = 6
_KEPT_DAYS = 13

# Which event tells of which step. A row of history that only remarks something has the status of the one before it; an order is
# shipped by parcels, each of which is told.
_STEPS = """(VALUES
    ('awaiting_payment', 'order.placed.v1'), ('confirmed', 'order.confirmed.v1'), ('cancelled', 'order.cancelled.v1'),
    ('delivered', 'order.delivered.v1'), ('parcel', 'order.shipped.v1'), ('refund', 'order.refunded.v1'),
    ('return', 'order.return_received.v1'), ('rejection', 'order.return_rejected.v1')
) AS step (name, type)"""
_STEPS_TAKEN = f"""(
    SELECT order_id, status AS name, at FROM (
        SELECT order_id, status, at, lag(status) OVER (PARTITION BY order_id ORDER BY id) AS before FROM orders_orderhistory
    ) AS h WHERE before IS DISTINCT FROM status
    UNION ALL SELECT order_id, 'parcel', created_at FROM orders_shipment
    UNION ALL SELECT order_id, 'return', received_at FROM orders_return WHERE status = 'received'
    UNION ALL SELECT order_id, 'rejection', rejected_at FROM orders_return WHERE status = 'rejected'
    UNION ALL
    SELECT r.order_id, 'refund', r.updated_at FROM orders_refund r LEFT JOIN orders_order o ON o.id = r.order_id
    WHERE r.status = 'succeeded' AND o.status IS DISTINCT FROM 'draft'
) AS taken JOIN {_STEPS} USING (name)"""  # noqa: S608 - made of constants
_BOOKINGS = """(VALUES
    ('capture', 'payment.succeeded.v1'), ('refund', 'payment.refunded.v1'), ('dispute_opened', 'payment.disputed.v1')
) AS step (kind, type)"""


def _literals(types: frozenset[str]) -> str:
    return ", ".join(f"'{each}'" for each in sorted(types))


def _sent(producer: str, types: frozenset[str]) -> Source:
    return Source(
        producer,
        f"""
        SELECT id::text, extract(epoch FROM coalesce(published_at, created_at))::float8, published_at IS NOT NULL, type
        FROM outbox_event
        WHERE type IN ({_literals(types)}) AND created_at > now() - interval '{_KEPT_DAYS} days'
          AND created_at >= to_timestamp(:events_since)
        ORDER BY id
        """,  # noqa: S608 - made of contracts
    )


def _received(consumer: str, types: frozenset[str]) -> Source:
    return Source(
        consumer,
        f"""
        SELECT event_id::text, extract(epoch FROM received_at)::float8, type FROM inbox_event
        WHERE type IN ({_literals(types)}) AND received_at > now() - interval '{_KEPT_DAYS} days'
          AND received_at >= to_timestamp(:events_since)
        ORDER BY event_id
        """,  # noqa: S608 - made of contracts
    )


def _was_received_by(consumer: str) -> Judge:
    def judge(sent: Row | None, received: Row | None) -> int | tuple[str, str]:
        if sent is None or not sent[2]:
            return Verdict.SKIP
        if received is not None:
            return Verdict.HOLDS
        return f"received by {consumer}", f"{sent[3]} never came there"

    return judge


def _was_sent_by(producer: str) -> Judge:
    def judge(sent: Row | None, received: Row | None) -> int | tuple[str, str]:
        if received is None or (sent is None and _age_in_days(received[0]) > _TOLD_DAYS):
            return Verdict.SKIP
        return (
            Verdict.HOLDS
            if sent is not None
            else (f"in the outbox of {producer}", f"{received[2]} was received and never written there")
        )

    return judge


def _age_in_days(event_id: str) -> float:
    """By the time that a UUIDv7 begins with."""
    return (time.time() - int(event_id[:8] + event_id[9:13], 16) / 1000) / 86400


def _pairs() -> list[tuple[str, str, Source, Source]]:
    """Producer, consumer, and the events between them at both ends."""
    found = []
    for producer in SERVICES:
        for consumer in SERVICES:
            types = produced_types(producer) & subscribed_types(consumer)
            if types:
                found.append((producer, consumer, _sent(producer, types), _received(consumer, types)))
    return found


def _told(columns: str, steps: str, types: str) -> str:
    """Steps against events of the same type and subject: what is young on one side must be there on the other, however old.

    `columns` of `steps` are `id, type, at`; `types` are all types there are. Both are written in one transaction; retention
    removes events, never steps.
    """
    counts = f"count(*) AS number, count(*) FILTER (WHERE at > now() - interval '{_TOLD_DAYS} days') AS young"
    return f"""
        WITH step AS MATERIALIZED (
            SELECT id, type, {counts} FROM (SELECT {columns} FROM {steps}) AS s GROUP BY id, type
        ), event AS MATERIALIZED (
            SELECT subject AS id, type, {counts} FROM (SELECT subject, type, created_at AS at FROM outbox_event) AS e
            WHERE type IN (SELECT type FROM {types}) GROUP BY subject, type
        )
        SELECT coalesce(step.id, event.id), format('%s of %s', coalesce(step.number, 0), coalesce(step.type, event.type)),
               format('%s of %s', coalesce(event.number, 0), coalesce(step.type, event.type)), NULL::float8
        FROM step FULL JOIN event ON event.id = step.id AND event.type = step.type
        WHERE coalesce(step.young, 0) > coalesce(event.number, 0) OR coalesce(event.young, 0) > coalesce(step.number, 0)
    """  # noqa: S608 - made of constants


EVENT_INVARIANTS = (
    invariant(
        "order-step-is-an-event",
        "Every step, parcel, return and refund of an order is told by one event, and every event of an order is one of them.",
        Rows(
            ORDERS,
            _told(
                "taken.order_id::text AS id, step.type, taken.at",
                _STEPS_TAKEN,
                _STEPS,
            ),
            "orders_orderhistory",
        ),
    ),
    invariant(
        "booking-is-an-event",
        "Every capture, refund and dispute in the ledger is told by one event, and every such event is booked.",
        Rows(
            PAYMENTS,
            _told(
                "t.payment_id::text AS id, step.type, t.created_at AS at",
                f"payments_ledgertransaction t JOIN {_BOOKINGS} ON step.kind = t.kind",
                _BOOKINGS,
            ),
            "payments_ledgertransaction",
        ),
    ),
    invariant(
        "event-reaches-every-subscriber",
        "Every published event has come to each service that subscribes to it.",
        *(
            Match(sent, received, _was_received_by(consumer), consumer)
            for _, consumer, sent, received in _pairs()
        ),
    ),
    invariant(
        "event-comes-from-an-outbox",
        "Every event that a service received was written down by the service that made it.",
        *(
            Match(sent, received, _was_sent_by(producer), consumer)
            for producer, consumer, sent, received in _pairs()
        ),
    ),
    invariant(
        "event-is-published-in-time",
        "No event waits in an outbox for longer than the limit.",
        *(
            Rows(
                service,
                """
                SELECT id::text, 'published', type || ', not published', extract(epoch FROM created_at)::float8
                FROM outbox_event WHERE published_at IS NULL
                """,
                "outbox_event",
            )
            for service in SERVICES
        ),
    ),
    invariant(
        "event-takes-effect-in-time",
        "No event waits in an inbox for longer than the limit.",
        *(
            Rows(
                service,
                """
                SELECT event_id::text, 'taken effect',
                       format('%s, waiting after %s failures and %s deferrals', type, attempts, deferrals),
                       extract(epoch FROM received_at)::float8
                FROM inbox_event WHERE status = 'waiting'
                """,
                "inbox_event",
            )
            for service in SERVICES
        ),
    ),
    invariant(
        "no-event-is-a-dead-letter",
        "No event is given up that nobody has decided about.",
        *(
            Rows(
                service,
                """
                SELECT event_id::text, 'replayed or dropped', format('%s, given up after %s failures', type, attempts), NULL::float8
                FROM inbox_event WHERE status = 'dead'
                """,
                "inbox_event",
            )
            for service in SERVICES
        ),
    ),
)
