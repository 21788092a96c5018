"""Time limits of tasks that run in threads, where Celery's own limits do nothing.

At the soft limit `SoftTimeLimitExceeded` is raised inside the task, at its next step in Python. A thread that is stuck
outside Python cannot be stopped: at the hard limit the whole worker ends with code 1, for its supervisor to start again.
The message was not acknowledged, and the row that the job is for is still due.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

import structlog
from celery import bootsteps
from celery.contrib.django.task import DjangoTask
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from prometheus_client import Counter, Histogram

from shared_lib.jobs.work import SECONDS_BUCKETS
from shared_lib.observability import context, tracing

log = structlog.get_logger(__name__)

TASKS = Counter("shop_tasks_total", "Runs of tasks by what became of them", ["task", "outcome"])
TASK_SECONDS = Histogram("shop_task_seconds", "Time of a run", ["task"], buckets=SECONDS_BUCKETS)

__all__ = ["LimitedTask", "SoftTimeLimitExceeded", "TimeLimits"]


@dataclass(slots=True)
class _Run:
    task: str
    thread: int
    soft_at: float
    hard_at: float
    interrupted: bool = False


_lock = threading.Lock()
_runs: dict[int, _Run] = {}


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raises `error` in `thread` at its next bytecode; None takes back what is still pending."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(error) if error else None
    )


class LimitedTask(DjangoTask):
    """A task that knows when it started. `soft_time_limit` and `time_limit` of the task go before those of the app."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.request.called_directly or self.request.is_eager:
            return super().__call__(*args, **kwargs)
        thread, now = threading.get_ident(), time.monotonic()
        soft, hard = self._limits()
        run = _Run(self.name, thread, now + soft, now + hard)
        with _lock:
            _runs[thread] = run
        try:
            return self._observed(*args, **kwargs)
        finally:
            with _lock:
                _runs.pop(thread, None)
            if run.interrupted:
                _raise_in(thread, None)

    def _observed(self, *args: Any, **kwargs: Any) -> Any:
        """As a unit of work: that of whoever sent the hint, or one of its own where the beat did."""
        hint = self.request.headers or {}
        structlog.contextvars.clear_contextvars()
        context.begin(request_id=hint.get("request_id"), traceparent=hint.get("traceparent"))
        started, outcome = time.perf_counter(), "failed"
        try:
            with tracing.span(f"task {self.name}", "consumer", {"messaging.system": "rabbitmq"}):
                result = super().__call__(*args, **kwargs)
            outcome = "done"
        finally:
            seconds = time.perf_counter() - started
            TASKS.labels(self.name, outcome).inc()
            TASK_SECONDS.labels(self.name).observe(seconds)
            if hint.get("request_id") or outcome == "failed":
                log.info("task", task=self.name, outcome=outcome, ms=round(seconds * 1000, 1))
        return result

    def _limits(self) -> tuple[float, float]:
        conf = self.app.conf
        soft = self.soft_time_limit or conf.task_soft_time_limit
        return soft, self.time_limit or max(conf.task_time_limit, soft * 2)


def enforce(now: float) -> str | None:
    """Interrupts runs past their soft limit; returns the name of a task past its hard limit, if there is one."""
    with _lock:
        for run in _runs.values():
            if now >= run.hard_at:
                return run.task
            if now >= run.soft_at and not run.interrupted:
                run.interrupted = True
                log.error("task_too_long", task=run.task)
                _raise_in(run.thread, SoftTimeLimitExceeded)
    return None


class TimeLimits(bootsteps.StartStopStep):
    """The thread in the worker that watches the clock, also while the worker stops.

    A worker that is told to stop lets its tasks finish for DRAIN_SECONDS (a setting); then it ends, and what was still
    running is handed out again.
    """

    label = "TimeLimits"
    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        self._leave_at = float("inf")
        super().__init__(worker, **kwargs)

    def start(self, worker: Any) -> None:
        threading.Thread(target=self._watch, name="time-limits", daemon=True).start()

    def stop(self, worker: Any) -> None:
        self._leave_at = time.monotonic() + settings.DRAIN_SECONDS

    def _watch(self) -> None:
        while True:
            time.sleep(0.25)
            now = time.monotonic()
            if task := enforce(now):
                try:
                    log.critical("task_stuck", task=task)
                    # Celery may have put a logger in the place of sys.stderr.
                    faulthandler.dump_traceback(sys.__stderr__ or 2)
                finally:
                    os._exit(1)
            if now > self._leave_at:
                log.error("worker_stopped_hard", tasks=[run.task for run in list(_runs.values())])
                os._exit(1)
