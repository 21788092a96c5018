"""Celery entries."""

from __future__ import annotations

from celery import shared_task

from notifications import services


@shared_task
def send_due_emails() -> None:
    """Sends what is due: as the hint that comes right after rows were committed, and now and then as the guarantee."""
    services.send_due_emails()
