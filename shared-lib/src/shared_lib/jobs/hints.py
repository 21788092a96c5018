"""`enqueue()`: a hint to the worker after the commit, that may be lost and must never cost the request."""

from __future__ import annotations

import threading
import time
from functools import cache, partial
from importlib import import_module
from typing import Any

import structlog
from amqp.exceptions import AMQPError
from celery import Task
from django.conf import settings
from django.db import transaction
from kombu import Connection
from kombu.exceptions import OperationalError
from kombu.pools import ProducerPool
from prometheus_client import Counter

from shared_lib.failpoints import around
from shared_lib.observability import context, tracing

log = structlog.get_logger(__name__)

HINTS = Counter("shop_job_hints_total", "Hints to the worker by what became of them", ["task", "outcome"])
CONNECT_SECONDS = 0.8
_BROKEN = (AMQPError, OperationalError, OSError)
OPEN_SECONDS = 5.0


def enqueue(task: Task, *args: Any, **kwargs: Any) -> None:
    """Asks the worker to run `task` once the current transaction has committed; at once when there is none.

    Arguments must be JSON. A rollback sends nothing, and what a transaction asks for twice is sent once. When the broker is
    away the hint is dropped, logged and counted: the sweeper of the row finds the work. The first lost hint takes at most
    about a second, those of the next seconds nothing.
    """
    hint = (task, args, kwargs)
    # A hint of a savepoint that was rolled back is gone from this list; of one that still can be, so would this one be.
    waiting = transaction.get_connection().run_on_commit
    origin = {"request_id": context.request_id(), "traceparent": context.traceparent()}
    if not any(
        isinstance(one, partial) and one.func is _deliver and one.args[1:] == hint for _, one, _ in waiting
    ):
        transaction.on_commit(partial(_deliver, origin, *hint), robust=True)


class _Circuit:
    """Open for some seconds after a failure. Safe for several threads."""

    def __init__(self) -> None:
        self._open_until = 0.0
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        return time.monotonic() < self._open_until

    def failed(self) -> None:
        with self._lock:
            self._open_until = time.monotonic() + OPEN_SECONDS

    def reset(self) -> None:
        with self._lock:
            self._open_until = 0.0


_circuit = _Circuit()
_pools: dict[str, ProducerPool] = {}
_pools_lock = threading.Lock()


def _pool() -> ProducerPool:
    """Connections of this process for hints alone: short time-outs that would not suit the worker."""
    url = settings.JOBS_BROKER_URL
    with _pools_lock:
        if url not in _pools:
            connection = Connection(
                url,
                connect_timeout=CONNECT_SECONDS,
                transport_options={
                    "read_timeout": CONNECT_SECONDS,
                    "write_timeout": CONNECT_SECONDS,
                    "max_retries": 0,
                },
            )
            _pools[url] = ProducerPool(connection.Pool(limit=8), limit=8)
        return _pools[url]


@cache
def _load_app() -> None:
    """Web processes do not import the service's Celery application; without it a task would go to Celery's default queue."""
    import_module(getattr(settings, "JOBS_APP", "config.celery"))


def _deliver(origin: dict[str, str], task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """`origin` is the work that asked: by the time of the commit another one of the same batch may be at hand."""
    with context.resumed(**origin):
        _send(task, args, kwargs)


def _send(task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    name = task.name
    if _circuit.is_open:
        HINTS.labels(name, "skipped").inc()
        return
    try:
        with (
            around("jobs.hint"),
            tracing.span(f"hint {name}", "producer", {"messaging.system": "rabbitmq"}),
        ):
            _publish(task, args, kwargs)
    except Exception as error:  # noqa: BLE001  a hint never fails the request
        _circuit.failed()
        HINTS.labels(name, "lost").inc()
        log.warning("job_hint_lost", task=name, error=f"{type(error).__name__}: {error}")
    else:
        HINTS.labels(name, "sent").inc()


def _publish(task: Task, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    _load_app()
    headers = {"request_id": context.request_id(), "traceparent": context.traceparent()}
    with _pool().acquire(block=True, timeout=CONNECT_SECONDS) as producer:
        connection = producer.connection
        try:
            task.apply_async(args, kwargs, producer=producer, retry=False, headers=headers)
        except _BROKEN:
            # A connection that broke while it lay idle, most often by a restart of the broker: once more on a new one.
            connection.collect()
            try:
                producer.revive(connection.default_channel)
                task.apply_async(args, kwargs, producer=producer, retry=False, headers=headers)
            except _BROKEN:
                connection.collect()
                raise


__all__ = ["HINTS", "enqueue"]
