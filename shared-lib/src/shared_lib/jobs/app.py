"""The Celery application of a service."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeAlias

from celery import Celery
from celery.schedules import crontab
from celery.signals import setup_logging, worker_ready
from kombu import Queue

from shared_lib.jobs.beat import EmbeddedBeat
from shared_lib.jobs.limits import TimeLimits
from shared_lib.server import spare_collector

Schedule: TypeAlias = float | crontab
Beat: TypeAlias = Mapping[str, tuple[str, Schedule]]

SOFT_LIMIT_SECONDS = 60
HARD_LIMIT_SECONDS = 120


def celery_app(settings_module: str, *, beat: Beat | None = None) -> Celery:
    """The application of the service whose settings are `settings_module`.

    `beat` maps a name to a task's dotted path and its period in seconds or as a crontab; the periodic tasks that every
    service has are added. Tasks are `@shared_task` functions in the `tasks` modules of the installed apps. Results are
    not kept. The worker runs threads.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings_module)
    from django.conf import settings

    # The worker would run all system checks, those of URLs too, and load every view for them; manage.py has run them.
    os.environ.setdefault("CELERY_SKIP_CHECKS", "1")
    service = settings.SERVICE_NAME
    # Celery would set the level of the root logger to its own.
    setup_logging.connect(_leave_logging_alone)
    worker_ready.connect(_all_is_loaded)
    app = Celery(service, task_cls="shared_lib.jobs.limits:LimitedTask")
    app.conf.update(
        broker_url=settings.JOBS_BROKER_URL,
        broker_heartbeat=10,
        broker_connection_timeout=4,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        result_backend=None,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_default_queue=f"{service}.jobs",
        # Messages here are hints to rows, so a durable classic queue is enough; it needs none of the delay queues that
        # Celery makes beside quorum queues.
        task_queues=[Queue(f"{service}.jobs", durable=True)],
        task_create_missing_queues=False,
        task_acks_late=True,
        task_acks_on_failure_or_timeout=True,
        task_reject_on_worker_lost=True,
        task_soft_time_limit=SOFT_LIMIT_SECONDS,
        task_time_limit=HARD_LIMIT_SECONDS,
        worker_pool="threads",
        worker_prefetch_multiplier=2,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        timezone="UTC",
        beat_schedule=_schedule(beat or {}),
    )
    app.set_default()
    app.autodiscover_tasks()
    app.autodiscover_tasks(["shared_lib.jobs"], related_name="periodic")
    app.steps["worker"].add(TimeLimits)
    app.steps["worker"].add("shared_lib.jobs.measures:MetricsServer")
    if settings.EMBEDDED_BEAT:
        app.steps["worker"].add(EmbeddedBeat)
    return app


def _leave_logging_alone(**_: Any) -> None:
    """Whoever listens to this signal has set logging up: the settings have."""


def _all_is_loaded(**_: Any) -> None:
    spare_collector()


def _schedule(beat: Beat) -> dict[str, dict[str, Any]]:
    entries = {**_common(), **beat}
    return {
        # Expiry keeps a worker that was away from running the same sweep many times over.
        name: {"task": task, "schedule": schedule, "options": {"expires": _expiry(schedule)}}
        for name, (task, schedule) in entries.items()
    }


def _expiry(schedule: Schedule) -> float:
    return 3600.0 if isinstance(schedule, crontab) else max(schedule * 2, 10.0)


def _common() -> dict[str, tuple[str, Schedule]]:
    from django.conf import settings

    entries: dict[str, tuple[str, Schedule]] = {}
    if "shared_lib.outbox" in settings.INSTALLED_APPS:
        entries["delete-published-events"] = (
            "shared_lib.jobs.periodic.delete_published_events",
            crontab(minute="17"),
        )
    if "shared_lib.inbox" in settings.INSTALLED_APPS:
        entries["delete-settled-events"] = (
            "shared_lib.jobs.periodic.delete_settled_events",
            crontab(minute="37"),
        )
    if "shared_lib.idempotency" in settings.INSTALLED_APPS:
        entries["delete-expired-idempotency-keys"] = (
            "shared_lib.jobs.periodic.delete_expired_idempotency_keys",
            crontab(minute="57"),
        )
    return entries
