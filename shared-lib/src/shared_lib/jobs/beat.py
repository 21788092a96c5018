"""The beat as a thread of the worker. Its schedule lives in memory: no file has to be writable."""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from celery.beat import EmbeddedService, Scheduler


class EmbeddedBeat(bootsteps.StartStopStep):
    """Any number of workers may have one: every periodic task claims the rows it works on.

    Without a broker the thread waits and tries again; a broker that comes back finds one due run of each task, not many.
    """

    label = "EmbeddedBeat"
    requires = ("celery.worker.components:Pool",)

    def create(self, worker: Any) -> Any:
        return EmbeddedService(worker.app, thread=True, scheduler_cls=Scheduler)
