"""Celery entries."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from notifications import services


@shared_task
def send_email(email_id: str) -> None:
    """Sends one mail: the hint that comes right after its row was committed."""
    services.send_email(email_id=UUID(email_id))


@shared_task
def send_due_emails() -> None:
    """Sends what is due: the guarantee."""
    services.send_due_emails()
