"""Periodic work. Each claims its rows, so that a doubled beat is harmless."""

from __future__ import annotations

import structlog
from celery import shared_task

from catalog.services import popularity, reservations

log = structlog.get_logger(__name__)


@shared_task
def release_expired_reservations() -> None:
    if released := reservations.release_expired():
        log.warning("expired_reservations_released", orders=released)


@shared_task
def count_sales() -> None:
    if counted := popularity.count_sales():
        log.info("sales_counted", orders=counted)
