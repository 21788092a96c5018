"""What Prometheus sees of jobs: rows that are due (from any process of the service), and hints that wait (from the worker)."""

from __future__ import annotations

import math
import os
from typing import Any

from celery import Celery, bootsteps
from django.apps import apps
from django.db import DatabaseError
from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client import Gauge
from psycopg_pool import PoolTimeout

from shared_lib.jobs.rows import DueModel
from shared_lib.observability import expose

DUE = Gauge(
    "shop_job_rows_due",
    "Rows whose time has come and that nobody works on",
    ["kind"],
    multiprocess_mode="mostrecent",
)
LATE = Gauge(
    "shop_job_rows_late_seconds",
    "How long the longest of them has been due",
    ["kind"],
    multiprocess_mode="mostrecent",
)
QUEUE = Gauge("shop_job_hints_waiting", "Hints in the queue of the worker")


def measure_rows() -> None:
    """Sets the gauges of rows; to NaN where the database cannot be asked."""
    for model in apps.get_models():
        if issubclass(model, DueModel):
            count, late = _due(model)
            DUE.labels(model._meta.label_lower).set(count)
            LATE.labels(model._meta.label_lower).set(late)


def _due(model: type[DueModel]) -> tuple[float, float]:
    now = timezone.now()
    try:
        found = model._base_manager.filter(due_at__lte=now).aggregate(count=Count("*"), first=Min("due_at"))
    except (DatabaseError, PoolTimeout):
        return math.nan, math.nan
    return found["count"], (now - found["first"]).total_seconds() if found["first"] else 0.0


def measure_queue(app: Celery) -> None:
    """Sets the gauge of waiting hints; to NaN where the broker cannot be asked."""
    try:
        with app.pool.acquire(block=True, timeout=1) as connection:
            declared = connection.default_channel.queue_declare(app.conf.task_default_queue, passive=True)
            QUEUE.set(declared.message_count)
    except Exception:  # noqa: BLE001  whatever is wrong with the broker, the scrape goes on
        QUEUE.set(math.nan)


class MetricsServer(bootsteps.StartStopStep):
    """The worker's /metrics and /healthz on WORKER_HEALTH_PORT, if that is set."""

    label = "MetricsServer"
    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        port = int(os.environ.get("WORKER_HEALTH_PORT") or 0)
        if port:
            expose.before_scrape(lambda: measure_queue(worker.app))
            expose.serve(os.environ.get("HOST", "127.0.0.1"), port)
