"""The way of an event as spans: published (in the request), sent (by the relay), processed (by each consumer).

The envelope names the span that published it, and the request that caused it; the relay tells its own span beside the body,
which goes over the wire exactly as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from shared_lib.contracts.events import Event
from shared_lib.events.bus import Outgoing
from shared_lib.inbox.store import Incoming
from shared_lib.observability import context, tracing

_IN_BODY = re.compile(rb'"traceparent":"(00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f][13579bdf])"')


def attributes_of(event: Event) -> dict[str, Any]:
    """What the span of a typed event says of it."""
    found = {tracing.ORDER_ID: getattr(event, "order_id", None)}
    if event.event_type.startswith("order."):
        found[tracing.ORDER_NUMBER] = getattr(event, "number", None)
    return {"messaging.system": "rabbitmq", "messaging.destination.name": event.event_type, **found}


@contextmanager
def sending(batch: list[Outgoing]) -> Iterator[list[Outgoing]]:
    """The batch as it is to be sent: sampled events name the span of their sending, which lasts until the block ends."""
    spans, marked = [], []
    for outgoing in batch:
        found = _IN_BODY.search(outgoing.body) if tracing.exporting() else None
        if found is None:
            marked.append(outgoing)
        else:
            span = tracing.detached(
                found[1].decode(),
                f"send {outgoing.type}",
                "producer",
                {"messaging.system": "rabbitmq", "messaging.message.id": outgoing.id},
            )
            spans.append(span)
            marked.append(replace(outgoing, traceparent=span.traceparent))
    failure = "not confirmed"
    try:
        yield marked
        failure = ""
    finally:
        for span in spans:
            span.end(failure)


@contextmanager
def processing(run: Sequence[Incoming]) -> Iterator[Any]:
    """What runs inside is the effect of `run`: a unit of work of the first message whose trace is sampled, else of the first.

    Yields its span, false where there is none. The other sampled messages of a batched handler get a span of the same length
    in their own traces.
    """
    sampled = [message for message in run if tracing.wanted(message.traceparent)]
    lead = sampled[0] if sampled else run[0]
    others = [
        tracing.detached(message.traceparent, f"process {message.type}", "consumer", _attributes(message))
        for message in sampled[1:]
    ]
    failure = "failed"
    try:
        with (
            context.resumed(request_id=lead.envelope.cause, traceparent=lead.traceparent),
            tracing.span(f"process {lead.type}", "consumer", _attributes(lead)) as span,
        ):
            yield span
        failure = ""
    finally:
        for other in others:
            other.end(failure)


def _attributes(message: Incoming) -> dict[str, Any]:
    found = {"messaging.system": "rabbitmq", "messaging.message.id": message.id}
    return {
        **found,
        tracing.ORDER_ID: message.envelope.subject if message.type.startswith("order.") else None,
    }
