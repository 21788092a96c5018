"""The relay: brings unpublished rows of the outbox to the bus, one relay at a time for each database.

What holds: a row is marked published only after the broker has confirmed it, so an event can be published twice but never
lost. While the broker works on one batch the next one is read and sent, so that neither waits for the other; two at most are
on their way, and each is marked by itself. Rows are found by `published_at IS NULL` and never by "greater than the last id",
because neither sequences nor UUIDv7 keys become visible in order. NOTIFY only shortens the wait; polling finds everything.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import structlog
from django.conf import settings

from shared_lib.backoff import Backoff
from shared_lib.contracts.subscriptions import subscribers
from shared_lib.events import lag, metrics
from shared_lib.events.bus import (
    BATCH,
    BusUnavailable,
    EventPublisher,
    Flight,
    Outgoing,
    Publisher,
    PublishResult,
)
from shared_lib.events.loops import Pulse, pause
from shared_lib.events.publishing import NOTIFY_CHANNEL
from shared_lib.events.traces import sending
from shared_lib.failpoints import around, failpoint
from shared_lib.outbox.direct import connect

log = structlog.get_logger(__name__)

LOCK_KEY = 0x6F7574626F78  # "outbox"
POLL_SECONDS = 1.0
MEASURE_SECONDS = 5.0
SWEEP_SECONDS = 1.0
# Batches without the broker's word at a time. More would keep nobody busier and be repeated by a crash.
IN_FLIGHT = 2

_FIRST = UUID(int=0)
_SELECT = """
    SELECT id, type, body FROM outbox_event
    WHERE published_at IS NULL AND id > %s AND NOT type = ANY(%s)
    ORDER BY id LIMIT %s
"""
_MARK = "UPDATE outbox_event SET published_at = statement_timestamp() WHERE id = ANY(%s)"


@dataclass(frozen=True, slots=True)
class _Batch:
    """Events on their way, and what is open until the broker has confirmed them: their spans, and the failpoint after."""

    events: list[Outgoing]
    flight: Flight
    opened: ExitStack


class Relay:
    name = "relay"

    def __init__(
        self,
        *,
        publisher: Callable[[], EventPublisher] | None = None,
        connect: Callable[[], psycopg.Connection[Any]] = connect,
    ) -> None:
        self.pulse = Pulse()
        self._connect = connect
        self._open_publisher = publisher or (
            lambda: Publisher(settings.EVENTS_BROKER_URL, settings.SERVICE_NAME)
        )
        self._blocked = BlockedTypes()

    def run(self, stop: threading.Event) -> None:
        backoff = Backoff()
        while not stop.is_set():
            try:
                with self._connect() as connection:
                    if self._await_leadership(connection, stop):
                        self._lead(connection, stop, backoff)
            except (BusUnavailable, psycopg.OperationalError, psycopg.InterfaceError) as error:
                # The connection is closed by now, and the lock with it: another relay may have a better way to the broker.
                pause(self, stop, backoff, error)
            finally:
                metrics.LEADER.set(0)
                self.pulse.ready = False

    def _await_leadership(self, connection: psycopg.Connection[Any], stop: threading.Event) -> bool:
        while not stop.is_set():
            self.pulse.beat()
            row = connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCK_KEY,)).fetchone()
            if row is not None and row[0]:
                return True
            self.pulse.ready = True  # a relay that stands by does its work
            stop.wait(POLL_SECONDS)
        return False

    def _lead(self, connection: psycopg.Connection[Any], stop: threading.Event, backoff: Backoff) -> None:
        connection.execute(f"LISTEN {NOTIFY_CHANNEL}")
        publisher = self._open_publisher()
        try:
            log.info("relay_leads")
            metrics.LEADER.set(1)
            self.pulse.ready = True
            measured_at = 0.0
            while not stop.is_set():
                self.pulse.beat()
                swept_all = self._sweep(connection, publisher, stop)
                backoff.succeeded()
                publisher.tick()
                if time.monotonic() - measured_at >= MEASURE_SECONDS:
                    self._measure(connection)
                    measured_at = time.monotonic()
                if swept_all and not stop.is_set():
                    wait = min(POLL_SECONDS, self._blocked.seconds_to_next())
                    for _ in connection.notifies(timeout=wait, stop_after=1):
                        pass
        finally:
            publisher.close()

    def _sweep(
        self, connection: psycopg.Connection[Any], publisher: EventPublisher, stop: threading.Event
    ) -> bool:
        """One pass over the unpublished rows, lowest id first; True when it came to the end.

        A pass goes forward so that rows that cannot be published do not hold up those behind them, and is bounded in time
        so that rows that became visible behind it are soon found.
        """
        last, started, swept_all = _FIRST, time.monotonic(), False
        flying: deque[_Batch] = deque()
        with ExitStack() as unsettled:
            while not (stop.is_set() or swept_all or time.monotonic() - started > SWEEP_SECONDS):
                rows = connection.execute(_SELECT, (last, self._blocked.now(), BATCH)).fetchall()
                if rows:
                    flying.append(self._send(publisher, rows))
                    unsettled.push(flying[-1].opened)
                    last = rows[-1][0]
                swept_all = len(rows) < BATCH
                if len(flying) == IN_FLIGHT:
                    self._settle(connection, publisher, flying.popleft())
            # A pass ends with nothing on its way: the next one begins with the lowest id and would find it again.
            while flying:
                self._settle(connection, publisher, flying.popleft())
        return swept_all

    def _send(self, publisher: EventPublisher, rows: Sequence[tuple[UUID, str, str]]) -> _Batch:
        outgoing = [Outgoing(event_id, event_type, body.encode()) for event_id, event_type, body in rows]
        with ExitStack() as opened:
            opened.enter_context(around("relay.publish"))
            marked = opened.enter_context(sending(outgoing))
            return _Batch(outgoing, publisher.send(marked), opened.pop_all())

    def _settle(self, connection: psycopg.Connection[Any], publisher: EventPublisher, batch: _Batch) -> None:
        with batch.opened:
            result = publisher.confirm(batch.flight)
        if result.confirmed:
            connection.execute(_MARK, (result.confirmed,))
        failpoint("relay.marked")
        self._account(batch.events, result, publisher)
        self.pulse.beat()

    def _account(self, batch: list[Outgoing], result: PublishResult, publisher: EventPublisher) -> None:
        types = {outgoing.id: outgoing.type for outgoing in batch}
        for event_type, count in Counter(types[event_id] for event_id in result.confirmed).items():
            metrics.PUBLISHED.labels(event_type).inc(count)
            if not subscribers(event_type):
                metrics.UNCONSUMED.labels(event_type).inc(count)
            self._blocked.passed(event_type)
        for event_type, count in Counter(types[event_id] for event_id in result.unroutable).items():
            metrics.UNROUTABLE.labels(event_type).inc(count)
            seconds = self._blocked.block(event_type)
            log.error(
                "event_unroutable",
                type=event_type,
                events=count,
                services=subscribers(event_type),
                retry_in=seconds,
            )
        if result.unroutable:
            publisher.declare()
        for event_type, count in Counter(types[event_id] for event_id in result.refused).items():
            metrics.REFUSED.labels(event_type).inc(count)
        if result.refused:
            raise BusUnavailable(f"RabbitMQ refused {len(result.refused)} events")

    def _measure(self, connection: psycopg.Connection[Any]) -> None:
        row = connection.execute(lag.OUTBOX).fetchone()
        if row is not None:
            lag.set_outbox(*row)


class BlockedTypes:
    """Event types that found no queue: they rest for growing pauses, so that they are neither lost nor sent in a circle.

    Routing depends on nothing but the type, so one rest serves all events of it.
    """

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._backoffs: dict[str, Backoff] = {}

    def block(self, event_type: str) -> float:
        """Seconds for which it rests; a batch that was on its way when it began to rest says nothing new."""
        left = self._until.get(event_type, 0.0) - time.monotonic()
        if left > 0:
            return round(left, 2)
        seconds = self._backoffs.setdefault(event_type, Backoff(first=0.5, most=30)).failed()
        self._until[event_type] = time.monotonic() + seconds
        return round(seconds, 2)

    def passed(self, event_type: str) -> None:
        self._until.pop(event_type, None)
        self._backoffs.pop(event_type, None)

    def now(self) -> list[str]:
        moment = time.monotonic()
        return [event_type for event_type, until in self._until.items() if until > moment]

    def seconds_to_next(self) -> float:
        moment = time.monotonic()
        waits = [until - moment for until in self._until.values() if until > moment]
        return max(min(waits), 0.01) if waits else POLL_SECONDS
