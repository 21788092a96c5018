from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from effects.support import Wire
from effects.tasks import note
from kombu import Connection

from shared_lib.jobs import enqueue, hints

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _closed_circuit() -> Iterator[None]:
    hints._circuit.reset()
    yield
    hints._circuit.reset()


def counted(outcome: str) -> float:
    return float(hints.HINTS.labels("effects.tasks.note", outcome)._value.get())


def hinted(broker: Connection, count: int) -> list[Any]:
    """The arguments of `count` tasks from the queue and of all others in it; hints are not confirmed and may be on their way."""
    found: list[Any] = []
    deadline = time.monotonic() + (10 if count else 0.3)
    while time.monotonic() < deadline:
        if (message := broker.default_channel.basic_get("svc-catalog.jobs", no_ack=True)) is not None:
            found.append(json.loads(message.body)[0])
        elif count and len(found) >= count:
            break
    return found


def test_a_hint_is_sent_after_the_commit(jobs_broker: Connection) -> None:
    with transaction.atomic():
        enqueue(note, "one")
        assert hinted(jobs_broker, 0) == []
    assert hinted(jobs_broker, 1) == [["one"]]


def test_a_rollback_sends_nothing(jobs_broker: Connection) -> None:
    with transaction.atomic():
        enqueue(note, "one")
        transaction.set_rollback(True)
    assert hinted(jobs_broker, 0) == []


def test_a_transaction_sends_the_same_hint_once(jobs_broker: Connection) -> None:
    with transaction.atomic():
        for _ in range(3):
            with transaction.atomic():
                enqueue(note, "one")
        enqueue(note, "two")
    assert sorted(hinted(jobs_broker, 2)) == [["one"], ["two"]]


def test_a_hint_of_a_savepoint_that_is_rolled_back_does_not_stand_for_the_next(
    jobs_broker: Connection,
) -> None:
    with transaction.atomic():
        with transaction.atomic():
            enqueue(note, "one")
            transaction.set_rollback(True)
        with transaction.atomic():
            enqueue(note, "one")
    assert hinted(jobs_broker, 1) == [["one"]]


def test_outside_a_transaction_it_is_sent_at_once(jobs_broker: Connection) -> None:
    enqueue(note, key="two")
    assert len(hinted(jobs_broker, 1)) == 1


@pytest.fixture
def jobs_wire(jobs_broker: Connection, settings: Any) -> Iterator[Wire]:
    host, port = jobs_broker.hostname, jobs_broker.port
    with Wire(host, port) as wire:
        settings.JOBS_BROKER_URL = settings.JOBS_BROKER_URL.replace(
            f"{host}:{port}", f"127.0.0.1:{wire.port}"
        )
        yield wire


def test_a_broker_that_is_away_costs_one_short_try_and_then_nothing(jobs_wire: Wire) -> None:
    jobs_wire.cut()
    lost, skipped = counted("lost"), counted("skipped")
    started = time.monotonic()
    with transaction.atomic():
        enqueue(note, "one")
    assert time.monotonic() - started < 1.5
    started = time.monotonic()
    for _ in range(100):
        enqueue(note, "more")
    assert time.monotonic() - started < 0.2
    assert (counted("lost") - lost, counted("skipped") - skipped) == (1, 100)


def test_a_broker_that_does_not_answer_costs_about_a_second(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.JOBS_BROKER_URL = f"amqp://a:b@127.0.0.1:{silent.getsockname()[1]}/x"
        lost, started = counted("lost"), time.monotonic()
        enqueue(note, "one")
        assert time.monotonic() - started < 2
    assert counted("lost") == lost + 1


def test_hints_flow_again_when_the_broker_is_back(
    jobs_broker: Connection, jobs_wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "OPEN_SECONDS", 0.2)
    jobs_wire.cut()
    enqueue(note, "lost")
    jobs_wire.heal()
    time.sleep(0.3)
    enqueue(note, "sent")
    assert hinted(jobs_broker, 1) == [["sent"]]


def test_a_connection_that_broke_while_idle_is_replaced_within_the_same_hint(
    jobs_broker: Connection, jobs_wire: Wire
) -> None:
    enqueue(note, "one")
    assert hinted(jobs_broker, 1) == [["one"]]
    jobs_wire.cut()
    jobs_wire.heal()
    enqueue(note, "two")
    enqueue(note, "three")
    assert hinted(jobs_broker, 2) == [["two"], ["three"]]


def test_arguments_that_are_not_json_are_a_lost_hint_and_no_failed_request(jobs_broker: Connection) -> None:
    lost = counted("lost")
    with transaction.atomic():
        enqueue(note, object())
    assert counted("lost") == lost + 1
