"""Events as the broker delivers them, without a broker."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import orjson

from shared_lib.contracts.events import CONTRACTS, Event
from shared_lib.events.envelope import CloudEvent, decode, encode, wrap
from shared_lib.events.handlers import TooEarly, load_handlers
from shared_lib.ids import uuid7
from shared_lib.inbox.models import InboxEvent, Status
from shared_lib.inbox.processing import Processor
from shared_lib.inbox.store import Incoming


def deliver_events(
    *events: Event | tuple[str, dict[str, object]], subject: str = "test", again: UUID | None = None
) -> list[UUID]:
    """Runs `events` through the inbox in one batch; returns their ids.

    An event is a contract, or `(type, data)` as a producer would write it in JSON. `again` gives the first one the id of an
    event that came before: a duplicate. Raises `TooEarly` when an event was deferred, `AssertionError` with the traceback
    when its handler failed.
    """
    messages: list[Incoming] = []
    for event in events:
        envelope = _envelope(event, subject)
        if again is not None and not messages:
            envelope = msgspec.structs.replace(envelope, id=again)
        messages.append(Incoming(envelope, encode(envelope).decode()))
    Processor(load_handlers()).process(messages)
    ids = [message.id for message in messages]
    for row in InboxEvent.objects.filter(event_id__in=ids).exclude(status=Status.PROCESSED):
        if row.deferrals:
            raise TooEarly(row.error)
        raise AssertionError(f"the handler of {row.type} failed:\n{row.error}")
    return ids


def _envelope(event: Event | tuple[str, dict[str, object]], subject: str) -> CloudEvent:
    if isinstance(event, Event):
        return wrap(event, subject=subject)
    event_type, data = event
    # As it comes over the wire: no type of ours has touched it before the inbox reads it.
    return decode(
        orjson.dumps(
            {
                "specversion": "1.0",
                "id": str(uuid7()),
                "source": f"/{CONTRACTS[event_type].producer}",
                "type": event_type,
                "subject": subject,
                "time": datetime.now(UTC).isoformat(),
                "data": data,
            }
        )
    )
