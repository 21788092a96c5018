"""This release beside the one before, on the same tables and the same events.

What 0.1.0 sends to the tables of outbox, inbox and idempotency keys stands here as it was. A release that breaks one of these
statements breaks services that still run: it takes two releases (README.md). When the release before is a later one, its
statements take their place.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import jsonschema
import msgspec
import pytest
from django.db import connection, transaction
from effects.models import Effect
from effects.support import eventually, incoming, publish_committed, running, stock_changed

import shared_lib
from shared_lib.contracts.events import CONTRACTS
from shared_lib.contracts.frozen import Frozen, canonical
from shared_lib.events.envelope import encode, wrap
from shared_lib.events.handlers import load_handlers
from shared_lib.events.memory import MemoryBus
from shared_lib.idempotency.models import IdempotencyKey
from shared_lib.ids import uuid7
from shared_lib.inbox.models import InboxEvent
from shared_lib.inbox.processing import Processor
from shared_lib.outbox.models import OutboxEvent
from shared_lib.outbox.relay import Relay

PUBLISHES = """
    INSERT INTO outbox_event (id, type, subject, body, created_at)
    SELECT made.*, statement_timestamp() FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[]) AS made
"""
RELAYS = """
    SELECT id, type, body FROM outbox_event
    WHERE published_at IS NULL AND id > %s AND NOT type = ANY(%s)
    ORDER BY id LIMIT %s
"""
MARKS = "UPDATE outbox_event SET published_at = statement_timestamp() WHERE id = ANY(%s)"
CLAIMS = """
    INSERT INTO inbox_event
        (event_id, type, subject, status, received_at, settled_at, attempts, deferrals, error, body)
    SELECT made.*, 'processed', clock_timestamp(), clock_timestamp(), 0, 0, '', ''
    FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS made
    ON CONFLICT (event_id) DO NOTHING
    RETURNING event_id
"""
KEEPS = """
    INSERT INTO inbox_event
        (event_id, type, subject, status, received_at, settled_at, due_at, attempts, deferrals, error, body)
    VALUES (%s, %s, %s, 'waiting', clock_timestamp(), NULL, clock_timestamp(), %s, %s, %s, %s)
    ON CONFLICT (event_id) DO UPDATE SET
        status = excluded.status, settled_at = NULL, due_at = excluded.due_at, attempts = excluded.attempts,
        deferrals = excluded.deferrals, error = excluded.error, body = excluded.body
"""
READS_INBOX = """
    SELECT event_id, type, subject, status, received_at, settled_at, due_at, attempts, deferrals, error, body
    FROM inbox_event WHERE status = 'waiting' AND due_at <= clock_timestamp() FOR UPDATE SKIP LOCKED
"""
KEEPS_KEY = """
    INSERT INTO idempotency_idempotencykey
        (user_id, route, key, request_hash, resource_id, response_status, response_body, lease_expires_at, created_at)
    VALUES (%s, %s, %s, %s, NULL, NULL, NULL, NULL, now()) RETURNING id
"""
NOBODY = "00000000-0000-0000-0000-000000000000"


def earlier(statement: str, *parameters: Any) -> list[Any]:
    """What a service of the release before sends, and the rows that it gets."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


@pytest.mark.django_db(transaction=True)
def test_what_the_release_before_published_is_relayed_by_this_one() -> None:
    bus, envelope = MemoryBus(), wrap(stock_changed(), subject="one")
    body = encode(envelope)
    earlier(PUBLISHES, [envelope.id], [envelope.type], [envelope.subject], [body.decode()])

    with running(Relay(publisher=bus.publisher)):
        eventually(lambda: not OutboxEvent.objects.filter(published_at=None).exists())
    assert list(bus.queues["svc-cart"]) == [body]


@pytest.mark.django_db(transaction=True)
def test_what_this_release_published_is_relayed_by_the_one_before() -> None:
    (envelope,) = publish_committed(stock_changed())

    assert earlier(RELAYS, NOBODY, [], 100) == [(envelope.id, envelope.type, encode(envelope).decode())]
    earlier(MARKS, [envelope.id])
    assert earlier(RELAYS, NOBODY, [], 100) == []


@pytest.mark.django_db(transaction=True)
def test_an_event_takes_effect_once_whichever_release_gets_it_first() -> None:
    one, other = incoming(stock_changed()), incoming(stock_changed())
    keys = [one.id], [one.type], [one.envelope.subject]
    assert earlier(CLAIMS, *keys) == [(one.id,)]

    Processor(load_handlers()).process([one, other])

    assert Effect.objects.count() == 1
    assert earlier(CLAIMS, [other.id], [other.type], [other.envelope.subject]) == []


@pytest.mark.django_db(transaction=True)
def test_what_one_release_keeps_for_later_the_other_can_read() -> None:
    message = incoming(stock_changed())
    earlier(KEEPS, message.id, message.type, message.envelope.subject, 1, 0, "a traceback", message.body)

    row = InboxEvent.objects.get(event_id=message.id)
    assert (row.status, row.attempts, row.body) == ("waiting", 1, message.body)
    row.attempts = 2
    row.save()
    (found,) = earlier(READS_INBOX)
    assert (found[0], found[7], found[10]) == (message.id, 2, message.body)


@pytest.mark.django_db(transaction=True)
def test_a_key_that_the_release_before_took_is_taken() -> None:
    ((number,),) = earlier(KEEPS_KEY, "somebody", "POST /orders", "a-key", b"\0" * 32)

    row, created = IdempotencyKey.objects.get_or_create(user_id="somebody", route="POST /orders", key="a-key")
    assert (row.pk, created) == (number, False)


# Events


def example(schema: dict[str, Any], *, optional: bool) -> Any:
    """A value that `schema` admits, with or without its optional fields."""
    if "anyOf" in schema:
        return example(max(schema["anyOf"], key=lambda part: part.get("type") != "null"), optional=optional)
    if "enum" in schema:
        return schema["enum"][0]
    match schema["type"]:
        case "object" if "properties" in schema:
            needed = schema.get("required", [])
            return {
                name: example(part, optional=optional)
                for name, part in schema["properties"].items()
                if optional or name in needed
            }
        case "object":
            return {"a": example(schema["additionalProperties"], optional=optional)}
        case "array":
            return [example(schema["items"], optional=optional)]
        case "integer":
            return 3
        case "boolean":
            return True
        case _:
            return {"uuid": str(uuid7()), "date-time": "2026-11-22T18:30:00Z"}.get(
                schema.get("format", ""), "text"
            )


REVISIONS = [
    pytest.param(name.removeprefix("events/"), schema, id=f"{name.removeprefix('events/')} ({number})")
    for name, schemas in Frozen.of_folder().revisions.items()
    if name.startswith("events/")
    for number, schema in enumerate(schemas, 1)
]


@pytest.mark.parametrize(("name", "schema"), REVISIONS)
def test_every_revision_of_an_event_is_read_by_this_release_and_reads_it(
    name: str, schema: dict[str, Any]
) -> None:
    contract = CONTRACTS[name]
    for optional in (False, True):
        written = example(schema, optional=optional)
        jsonschema.validate(written, schema)
        msgspec.json.decode(json.dumps(written), type=contract)

        event = msgspec.convert(example(canonical(contract), optional=optional), contract)
        sent = json.loads(encode(wrap(event, subject=str(uuid4()))))["data"]
        jsonschema.validate(sent, schema)


def test_the_version_in_the_code_is_that_of_the_wheel(pytestconfig: pytest.Config) -> None:
    text = (pytestconfig.rootpath / "pyproject.toml").read_text()

    assert f'\nversion = "{shared_lib.__version__}"' in text
