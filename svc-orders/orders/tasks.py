"""Celery entries. The periodic ones claim their rows, so that any number of beats and workers is harmless."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from orders import services


@shared_task
def cancel_expired_orders() -> None:
    services.cancel_expired_orders()


@shared_task
def settle_checkouts() -> None:
    services.settle_checkouts()


@shared_task
def forget_checkouts() -> None:
    services.forget_checkouts()


@shared_task
def send_refund(refund_id: str) -> None:
    services.send_refund(UUID(refund_id))


@shared_task
def send_due_refunds() -> None:
    services.send_due_refunds()
