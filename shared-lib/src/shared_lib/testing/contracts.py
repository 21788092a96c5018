"""Tests that every service has, to be imported by its `tests/test_contracts.py`:

    from shared_lib.testing.contracts import *  # noqa: F403

    SAMPLES = [messages.order_confirmed(), ...]     # (type, data) as the producer would write it in JSON

The samples are written by hand: types that producer and consumer share would only be tested against themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from django.conf import settings

from shared_lib.api.internal import InternalAPIView
from shared_lib.api.routes import methods, routes
from shared_lib.contracts.internal.endpoints import ENDPOINTS
from shared_lib.contracts.subscriptions import subscribed_types
from shared_lib.events.envelope import decode
from shared_lib.events.handlers import load_handlers
from shared_lib.ids import uuid7
from shared_lib.inbox.models import InboxEvent
from shared_lib.inbox.processing import Processor
from shared_lib.inbox.store import Incoming

__all__ = [
    "test_every_sample_is_read_to_its_last_field_by_the_inbox",
    "test_every_subscription_has_a_sample_written_by_hand",
    "test_internal_views_let_in_whom_the_contracts_name",
]

Sample = tuple[str, dict[str, Any]]


def _samples(request: pytest.FixtureRequest) -> list[Sample]:
    samples: list[Sample] = getattr(request.module, "SAMPLES", [])
    return samples


def envelope_of(sample: Sample) -> str:
    """The message as it lies in the queue, made without any type of ours."""
    event_type, data = sample
    return json.dumps(
        {
            "specversion": "1.0",
            "id": str(uuid7()),
            "source": "/svc-sample",
            "type": event_type,
            "subject": "sample",
            "time": "2026-11-22T10:00:00Z",
            "datacontenttype": "application/json",
            "data": data,
        }
    )


def test_every_subscription_has_a_sample_written_by_hand(request: pytest.FixtureRequest) -> None:
    assert {event_type for event_type, _ in _samples(request)} == subscribed_types(settings.SERVICE_NAME)


@pytest.mark.django_db
def test_every_sample_is_read_to_its_last_field_by_the_inbox(request: pytest.FixtureRequest) -> None:
    """What the handler makes of it is for other tests: here it may also be too early."""
    processor = Processor(load_handlers())
    for sample in _samples(request):
        body = envelope_of(sample)
        envelope = decode(body)
        processor.process([Incoming(envelope, body)])
        row = InboxEvent.objects.get(event_id=envelope.id)
        assert "InvalidEvent" not in row.error, f"{sample[0]} is not understood:\n{row.error}"
        unread = _unread(sample[1], msgspec.to_builtins(envelope.event()), sample[0])
        assert not list(unread), f"the contract does not know {list(unread)}"


def _unread(sample: Any, understood: Any, at: str) -> Iterator[str]:
    """Fields of the sample that are not in what was decoded; a null may stand for a default that is left out."""
    if isinstance(sample, dict):
        for name, value in sample.items():
            if not isinstance(understood, dict) or (
                name not in understood and value not in (None, [], {}, False)
            ):
                yield f"{at}.{name}"
            elif name in understood:
                yield from _unread(value, understood[name], f"{at}.{name}")
    elif isinstance(sample, list):
        for index, (one, other) in enumerate(zip(sample, understood, strict=True)):
            yield from _unread(one, other, f"{at}[{index}]")


def test_internal_views_let_in_whom_the_contracts_name() -> None:
    """`callers` of every view below /internal/v1 are those of `shared_lib.contracts.internal.endpoints`, both ways."""
    service = settings.SERVICE_NAME
    named = {
        (endpoint.method, endpoint.path): frozenset(endpoint.callers)
        for endpoint in ENDPOINTS
        if endpoint.callee == service
    }
    found = {
        (method, path.removeprefix("internal/v1/")): frozenset(view.callers)
        for path, view in routes()
        if isinstance(view, type) and issubclass(view, InternalAPIView)
        for method in methods(view)
    }
    assert found == named
