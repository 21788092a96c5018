"""`publish()`: an event becomes a row of the outbox in the transaction that changes the state it tells of."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from django.db import connection

from shared_lib.contracts.events import Event
from shared_lib.events.envelope import CloudEvent, encode, wrap
from shared_lib.observability import context, tracing

NOTIFY_CHANNEL = "outbox"

# PostgreSQL folds equal notifications of one transaction into one, so each statement may carry its own.
_INSERT = """
    WITH written AS (
        INSERT INTO outbox_event (id, type, subject, body, created_at)
        SELECT made.*, statement_timestamp() FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::text[]) AS made
    )
    SELECT pg_notify('outbox', '')
"""


class CannotPublish(RuntimeError):
    """`publish()` was called where the event could be lost or has no right to be: a mistake in the calling code."""


def publish(event: Event, *, subject: object) -> CloudEvent:
    """Writes `event` to the outbox; it leaves when the surrounding transaction commits, and only then.

    `subject` is the id of the aggregate that the event tells of. Raises `CannotPublish` outside `transaction.atomic` or
    for another service's event, and `InvalidEvent` for data that does not fit the contract.
    """
    return publish_all([(event, subject)])[0]


def publish_all(events: Iterable[tuple[Event, object]]) -> list[CloudEvent]:
    """`publish()` for several `(event, subject)` in one statement."""
    if not connection.in_atomic_block:
        raise CannotPublish(
            "publish() needs the transaction that changes the state: call it inside transaction.atomic()."
        )
    envelopes = [_envelope(event, str(subject)) for event, subject in events]
    if envelopes:
        columns = (
            [envelope.id for envelope in envelopes],
            [envelope.type for envelope in envelopes],
            [envelope.subject for envelope in envelopes],
            [encode(envelope).decode() for envelope in envelopes],
        )
        with connection.cursor() as cursor:
            cursor.execute(_INSERT, columns)
    return envelopes


def _envelope(event: Event, subject: str) -> CloudEvent:
    if event.producer != settings.SERVICE_NAME:
        raise CannotPublish(
            f"{event.event_type} belongs to {event.producer}; {settings.SERVICE_NAME} may not publish it."
        )
    if not tracing.sampled():
        return _wrap(event, subject)
    from shared_lib.events.traces import attributes_of

    with tracing.span(f"publish {event.event_type}", "producer", attributes_of(event)):
        return _wrap(event, subject)


def _wrap(event: Event, subject: str) -> CloudEvent:
    return wrap(event, subject=subject, traceparent=context.traceparent(), request_id=context.request_id())
