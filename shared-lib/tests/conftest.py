"""Fixtures of the tests of events and jobs: a real broker, one test at a time."""

from __future__ import annotations

import fcntl
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from effects import event_handlers
from effects.support import Wire
from kombu import Connection

from shared_lib.contracts.subscriptions import SUBSCRIPTIONS
from shared_lib.events import topology


@pytest.fixture
def behaviours() -> Iterator[dict[Any, Any]]:
    """What handlers do in this test, by event contract."""
    yield event_handlers.behaviours
    event_handlers.behaviours.clear()


def _exclusive(url: str) -> Any:
    """A lock between test processes, since queues have the same names for all of them."""
    name = hashlib.sha256(url.encode()).hexdigest()[:16]
    handle = (Path(tempfile.gettempdir()) / f"shop-test-broker-{name}.lock").open("w")
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


@pytest.fixture
def broker() -> Iterator[Connection]:
    """A connection to an events broker that has the topology of svc-catalog and no messages."""
    with _exclusive(settings.EVENTS_BROKER_URL), Connection(settings.EVENTS_BROKER_URL) as connection:
        topology.declare(connection, settings.SERVICE_NAME)
        _purge(connection)
        yield connection
        _purge(connection)


@pytest.fixture
def jobs_broker() -> Iterator[Connection]:
    with _exclusive(settings.JOBS_BROKER_URL), Connection(settings.JOBS_BROKER_URL) as connection:
        name = f"{settings.SERVICE_NAME}.jobs"
        connection.default_channel.queue_declare(name, durable=True, auto_delete=False)
        connection.default_channel.queue_purge(name)
        yield connection


def _purge(connection: Connection) -> None:
    for service in SUBSCRIPTIONS:
        for name in (topology.queue_name(service), topology.dead_queue_name(service)):
            with connection.channel() as channel:
                try:
                    channel.queue_purge(name)
                except channel.connection.channel_errors:
                    continue  # nobody has declared it


@pytest.fixture
def events_wire(broker: Connection, settings: Any) -> Iterator[Wire]:
    """The way to the events broker, which the test can cut."""
    host, port = broker.hostname, broker.port
    with Wire(host, port) as wire:
        settings.EVENTS_BROKER_URL = settings.EVENTS_BROKER_URL.replace(
            f"{host}:{port}", f"127.0.0.1:{wire.port}"
        )
        yield wire
