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


@shared_task
def delete_expired_idempotency_keys() -> None:
    from shared_lib.idempotency.retention import delete_expired

    slice_size, rows = 10_000, 0
    while True:
        deleted = delete_expired(limit=slice_size)
        rows += deleted
        if deleted < slice_size:
            break
    log.info("idempotency_keys_deleted", rows=rows)
