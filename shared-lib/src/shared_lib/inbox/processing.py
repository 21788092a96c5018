"""What becomes of a batch of messages: the effect of each exactly once, in one transaction for all of them.

What holds:

- The row of the inbox and the effect commit together; a duplicate finds the row and does nothing.
- A handler that fails is rolled back to its savepoint, kept as a row, and takes nothing of the batch with it. Since nearly
  all batches have no failure, a batch first runs on one savepoint for all, which costs a third of the round trips; when
  anything fails it is undone and runs again with a savepoint for each message, and so do the next `_CAREFUL_BATCHES`.
- Locks. Inbox rows are taken first, in the order of their keys. Messages then run in the order of subject and id, and after
  them those of batched handlers, in that order too, one handler after the other as the table names them: so two consumers
  meet the same aggregates in the same order. Since rows locked by earlier messages stay locked, a batch waits only briefly
  for any lock (far below PostgreSQL's deadlock_timeout, so that no web request is ever its victim): a message that had to
  wait is rolled back and runs again after the batch, alone in a transaction.
- A failure at commit (a deferred constraint) is traced by running the messages one by one.
- A database that is away raises `DatabaseUnavailable`: nothing took effect that was not committed, nothing is acknowledged.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.db import Error, connection, transaction
from psycopg import errors as pg

from shared_lib.events import metrics
from shared_lib.events.handlers import Handler, TooEarly, handling, is_batched, is_replayable
from shared_lib.events.traces import processing
from shared_lib.failpoints import failpoint
from shared_lib.inbox import schedule, store
from shared_lib.inbox.models import InboxEvent, Status
from shared_lib.inbox.store import Incoming
from shared_lib.observability.logs import info_all

log = structlog.get_logger(__name__)

BATCH = 50
_LOCK_TIMEOUT_IN_BATCH = "200ms"
_LOCK_TIMEOUT_ALONE = "10s"
_CAREFUL_BATCHES = 20


class DatabaseUnavailable(ConnectionError):
    """PostgreSQL cannot be reached, or the session was lost."""


@dataclass(slots=True)
class _Tally:
    """What one transaction decided, reported only when it has committed."""

    processed: list[Incoming] = field(default_factory=list)
    contended: list[Incoming] = field(default_factory=list)
    duplicates: int = 0


class Processor:
    """Runs handlers. `progress` is called before each message, so that a long batch shows signs of life."""

    def __init__(
        self, handlers: Mapping[str, Handler], *, progress: Callable[[], None] = lambda: None
    ) -> None:
        self._handlers = handlers
        self._batched = [handler for handler in handlers.values() if is_batched(handler)]
        self._progress = progress
        self._careful = 0

    def process(self, batch: Sequence[Incoming]) -> None:
        """Gives each message its effect, or keeps it as a row. Returning means that all of it is committed.

        Raises `DatabaseUnavailable`; the whole batch must then be handed in again.
        """
        started = time.monotonic()
        wanted = self._wanted(batch)
        try:
            for message in [each for each in wanted if each.redeliveries >= schedule.SUSPECT_AFTER]:
                self._set_aside(message)
            calm = [each for each in wanted if each.redeliveries < schedule.SUSPECT_AFTER]
            for message in self._together(calm):
                self._alone(message)
        except Error as error:
            raise_if_lost(error)
            raise
        metrics.BATCH_SECONDS.observe(time.monotonic() - started)

    def _wanted(self, batch: Sequence[Incoming]) -> list[Incoming]:
        """Each event once, and in order; without those that this service has no use for.

        A type without a handler comes from a binding that an older version of this service made. A replay is only for
        handlers that are marked for it.
        """
        wanted = {}
        for message in batch:
            handler = self._handlers.get(message.type)
            if handler is None or (message.replay and not is_replayable(handler)):
                metrics.CONSUMED.labels(message.type, "ignored").inc()
            else:
                wanted[message.id] = message
        return sorted(wanted.values(), key=lambda message: (message.envelope.subject, message.id))

    def _together(self, messages: Sequence[Incoming]) -> list[Incoming]:
        """Runs `messages` in one transaction; returns those that have to run alone."""
        if len(messages) <= 1:
            return list(messages)
        tally = _Tally()
        try:
            with transaction.atomic():
                self._run_batch(messages, tally)
                failpoint("inbox.uncommitted")
        except Exception as error:  # noqa: BLE001  handlers may raise anything
            raise_if_lost(error)
            log.warning("batch_taken_apart", events=len(messages), error=f"{type(error).__name__}: {error}")
            return list(messages)
        _report(tally)
        return tally.contended

    def _run_batch(self, messages: Sequence[Incoming], tally: _Tally) -> None:
        fresh = store.claim(messages, lock_timeout=_LOCK_TIMEOUT_IN_BATCH)
        new = [message for message in messages if message.id in fresh or message.replay]
        tally.duplicates = len(messages) - len(new)
        if not self._run_on_one_savepoint(new, tally):
            self._run_on_savepoints(new, tally)
        if tally.contended:
            store.unclaim([message.id for message in tally.contended if message.id in fresh])

    def _run_on_one_savepoint(self, messages: Sequence[Incoming], tally: _Tally) -> bool:
        """False when nothing was done: a handler failed, or one did lately."""
        if self._careful:
            self._careful -= 1
            return False
        try:
            with transaction.atomic():
                for run in self._runs(messages):
                    self._progress()
                    self._call(run)
        except Exception as error:  # noqa: BLE001  handlers may raise anything
            raise_if_lost(error)
            self._careful = _CAREFUL_BATCHES
            return False
        tally.processed.extend(messages)
        return True

    def _run_on_savepoints(self, messages: Sequence[Incoming], tally: _Tally) -> None:
        failures: list[tuple[Incoming, Exception]] = []
        for message in itertools.chain.from_iterable(self._runs(messages)):
            self._progress()
            try:
                with transaction.atomic():
                    self.run_handler(message)
            except Exception as error:  # noqa: BLE001  handlers may raise anything
                raise_if_lost(error)
                if _is_contention(error):
                    tally.contended.append(message)
                else:
                    failures.append((message, error))
            else:
                tally.processed.append(message)
        for message, failure in failures:
            record(message, failure)

    def _alone(self, message: Incoming) -> None:
        with processing([message]) as span:
            self._alone_inside(message, span)

    def _alone_inside(self, message: Incoming, span: Any) -> None:
        tally = _Tally()
        self._progress()
        try:
            with transaction.atomic():
                if store.claim([message], lock_timeout=_LOCK_TIMEOUT_ALONE) or message.replay:
                    self._handle([message])
                    failpoint("inbox.uncommitted")
                    tally.processed.append(message)
                else:
                    tally.duplicates = 1
        except Exception as error:  # noqa: BLE001  handlers may raise anything
            raise_if_lost(error)
            span.fail(type(error).__name__)
            with transaction.atomic():
                # The message may have taken effect in another consumer meanwhile: then there is nothing to record.
                if store.claim([message], lock_timeout=_LOCK_TIMEOUT_ALONE) or message.replay:
                    record(message, error)
        _report(tally)

    def _set_aside(self, message: Incoming) -> None:
        """Keeps a message without running it: a run that is counted beforehand follows, as for one that failed."""
        with transaction.atomic():
            if not store.claim([message], lock_timeout=_LOCK_TIMEOUT_ALONE):
                return
            reason = f"handed out {message.redeliveries} times without an acknowledgement"
            pause = schedule.after_failure(1).pause
            store.keep(message, status=Status.WAITING, pause=pause, error=reason)
        log.warning("event_set_aside", event_id=str(message.id), type=message.type, reason=reason)
        metrics.CONSUMED.labels(message.type, "set_aside").inc()

    def run_handler(self, message: Incoming) -> None:
        """Decodes the data and calls the handler. The caller has a transaction open."""
        self._call([message])

    def _runs(self, messages: Sequence[Incoming]) -> list[list[Incoming]]:
        """What goes into one call each: every message alone, then all messages of each batched handler."""
        alone: list[list[Incoming]] = []
        together: dict[Handler, list[Incoming]] = {handler: [] for handler in self._batched}
        for message in messages:
            run = together.get(self._handlers[message.type])
            if run is None:
                alone.append([message])
            else:
                run.append(message)
        return alone + [run for run in together.values() if run]

    def _call(self, run: Sequence[Incoming]) -> None:
        with processing(run):
            self._handle(run)

    def _handle(self, run: Sequence[Incoming]) -> None:
        first = run[0].envelope
        handler = self._handlers[first.type]
        if is_batched(handler):
            handler([message.envelope.event() for message in run])
        else:
            with handling(first.id):
                handler(first.event())


def record(message: Incoming, error: Exception, *, attempts: int = 0, deferrals: int = 0) -> Status:
    """Keeps `message`, which took no effect because of `error`, after so many earlier attempts and deferrals."""
    early = isinstance(error, TooEarly)
    attempts, deferrals = (attempts, deferrals + 1) if early else (attempts + 1, deferrals)
    verdict = schedule.after_deferral(deferrals) if early else schedule.after_failure(attempts)
    store.keep(
        message,
        status=verdict.status,
        pause=verdict.pause,
        attempts=attempts,
        deferrals=deferrals,
        error=f"TooEarly: {error}".replace("\x00", "") if early else store.describe(error),
    )
    fields = {
        "event_id": str(message.id),
        "type": message.type,
        "subject": message.envelope.subject,
        "request_id": message.envelope.cause,
    }
    reason = f"{type(error).__name__}: {error}"
    if verdict.status is Status.DEAD:
        log.error("event_given_up", **fields, attempts=attempts, deferrals=deferrals, error=reason)
        metrics.CONSUMED.labels(message.type, "given_up").inc()
    elif early:
        metrics.CONSUMED.labels(message.type, "too_early").inc()
    else:
        log.warning("event_failed", **fields, attempts=attempts, error=reason, exc_info=error)
        metrics.CONSUMED.labels(message.type, "failed").inc()
    return verdict.status


def raise_if_lost(error: BaseException) -> None:
    """Raises `DatabaseUnavailable` when `error` came with the loss of the session, or there is none to be had."""
    session = connection.connection
    if isinstance(error, DatabaseUnavailable) or session is None or session.closed:
        raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error


def _is_contention(error: Exception) -> bool:
    return isinstance(error.__cause__, pg.LockNotAvailable | pg.DeadlockDetected | pg.SerializationFailure)


def _report(tally: _Tally) -> None:
    delays = _delays(tally.processed)
    for event_type, count in Counter(message.type for message in tally.processed).items():
        metrics.CONSUMED.labels(event_type, "processed").inc(count)
    for delay in delays:
        metrics.DELAY_SECONDS.observe(delay)
    if tally.duplicates:
        metrics.CONSUMED.labels("any", "duplicate").inc(tally.duplicates)
    log_processed(tally.processed, delays)


def _delays(messages: Sequence[Incoming]) -> list[float]:
    now = time.time()
    return [max(now - message.envelope.time.timestamp(), 0.0) for message in messages]


def log_processed(messages: Sequence[Incoming], delays: Sequence[float] | None = None) -> None:
    """The access log of events: a line for each, under the id of the request that caused it. `delays` are seconds."""
    info_all(
        __name__,
        "event_processed",
        (
            {
                "type": message.type,
                "event_id": str(message.id),
                "request_id": message.envelope.cause,
                "trace_id": message.traceparent[3:35],
                "delay_ms": round(delay * 1000, 1),
            }
            for message, delay in zip(messages, delays or _delays(messages), strict=True)
        ),
    )


def incoming_of(row: InboxEvent) -> Incoming:
    return Incoming(envelope=row.envelope, body=row.body)
