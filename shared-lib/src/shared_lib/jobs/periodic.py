"""Periodic tasks that every service has."""

from __future__ import annotations

import structlog
from celery import shared_task

log = structlog.get_logger(__name__)


@shared_task
def delete_published_events() -> None:
    from shared_lib.outbox.retention import delete_published

    log.info("published_events_deleted", rows=delete_published())


@shared_task
def delete_settled_events() -> None:
    from shared_lib.inbox.retention import delete_settled

    log.info("settled_events_deleted", rows=delete_settled())
