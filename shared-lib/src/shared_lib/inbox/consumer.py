"""The consumer: takes messages from the service's queue in batches and acknowledges what is committed, nothing else."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.db import Error, connection

from shared_lib.backoff import Backoff
from shared_lib.events import metrics
from shared_lib.events.bus import BusUnavailable, Delivery, EventSubscription, Subscription
from shared_lib.events.envelope import Undecodable, decode
from shared_lib.events.handlers import load_handlers
from shared_lib.events.loops import Pulse, pause
from shared_lib.failpoints import failpoint
from shared_lib.inbox import retries
from shared_lib.inbox.processing import BATCH, DatabaseUnavailable, Processor, raise_if_lost
from shared_lib.inbox.store import Incoming

log = structlog.get_logger(__name__)

WAIT_SECONDS = 0.5
WINDOW_SECONDS = 0.002
RETRY_SECONDS = 1.0
MEASURE_SECONDS = 10.0


class Consumer:
    name = "consumer"

    def __init__(self, *, subscription: Callable[[], EventSubscription] | None = None) -> None:
        self.pulse = Pulse()
        self._subscribe = subscription or (
            lambda: Subscription(settings.EVENTS_BROKER_URL, settings.SERVICE_NAME)
        )
        self._processor = Processor(load_handlers(), progress=self._progress)
        self._current: EventSubscription | None = None
        self._crowded = False
        self._next_retry = 0.0
        self._next_measure = 0.0

    def run(self, stop: threading.Event) -> None:
        backoff = Backoff()
        while not stop.is_set():
            try:
                # First the database: messages that cannot be processed are better kept by the broker.
                _probe_database()
                self._current = self._subscribe()
                self.pulse.ready = True
                while not stop.is_set():
                    self._step(self._current)
                    backoff.succeeded()
            except (BusUnavailable, DatabaseUnavailable) as error:
                pause(self, stop, backoff, error)
            finally:
                self.pulse.ready = False
                if self._current is not None:
                    self._current.close()
                    self._current = None
                connection.close()

    def _step(self, subscription: EventSubscription) -> None:
        self.pulse.beat()
        wait = min(WAIT_SECONDS, max(self._next_retry - time.monotonic(), 0.0))
        # Waiting for company pays where events come in crowds; a single one is not held up.
        window = WINDOW_SECONDS if self._crowded else 0.0
        deliveries = subscription.receive(most=BATCH, wait=wait, window=window)
        self._crowded = len(deliveries) > 1
        if deliveries:
            self._settle(subscription, deliveries)
        self._run_periodic()

    def _settle(self, subscription: EventSubscription, deliveries: list[Delivery]) -> None:
        decoded = []
        for delivery in deliveries:
            try:
                envelope = decode(delivery.body)
            except Undecodable as error:
                log.error("event_undecodable", error=str(error), bytes=len(delivery.body))
                metrics.UNDECODABLE.inc()
                subscription.reject(delivery, str(error))
            else:
                message = Incoming(
                    envelope,
                    delivery.body.decode(),
                    delivery.redeliveries,
                    delivery.replay,
                    delivery.traceparent,
                )
                decoded.append((delivery, message))
        if decoded:
            self._processor.process([message for _, message in decoded])
            failpoint("inbox.committed")
            subscription.ack(decoded[-1][0])
            failpoint("inbox.acknowledged")

    def _run_periodic(self) -> None:
        now = time.monotonic()
        if now >= self._next_retry:
            ran = retries.run_due(self._processor)
            wait = 0.0 if ran == BATCH else retries.seconds_to_next_due(RETRY_SECONDS)
            self._next_retry = time.monotonic() + wait
        if now >= self._next_measure:
            retries.measure()
            if self._current is not None:
                metrics.QUEUE_WAITING.set(self._current.waiting())
                metrics.UNDECODABLE_WAITING.set(self._current.waiting_dead())
            self._next_measure = now + MEASURE_SECONDS

    def _progress(self) -> None:
        self.pulse.beat()
        if self._current is not None:
            # A lost broker must not undo the batch: it commits, and its duplicates will have no effect.
            with contextlib.suppress(BusUnavailable):
                self._current.tick()


def _probe_database() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        connection.close()
        raise_if_lost(error)
        raise
