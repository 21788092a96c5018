"""Celery entries: hints that make things quick, and sweeps that make them certain."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

import structlog
from celery import shared_task
from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from payments import services
from payments.models import OPEN_ATTEMPTS, PaymentAttempt, Refund, RefundStatus, WebhookEvent
from payments.providers import ProviderError, offered_providers
from payments.services import reconciliation, refunds
from shared_lib.jobs import working_on
from shared_lib.jobs.rows import PAUSES, DueModel, claim_due

logger = structlog.get_logger(__name__)

_SWEEP_SECONDS = 20.0
_SWEEP_ROWS = 5

_Row = TypeVar("_Row", bound=DueModel)


@shared_task
def process_webhook_event(event_id: str) -> None:
    for event in claim_due(WebhookEvent.objects.filter(pk=event_id), limit=1):
        with working_on(event):
            services.process_webhook_event(event=event)


@shared_task
def send_refund(refund_id: str) -> None:
    rows = _pending_refunds().filter(pk=refund_id)
    for refund in claim_due(rows, limit=1, pauses=refunds.PAUSES):
        with working_on(refund):
            services.send_refund(refund=refund)


@shared_task
def process_due_webhook_events() -> None:
    _sweep(WebhookEvent.objects.all(), PAUSES, lambda event: services.process_webhook_event(event=event))


@shared_task
def reconcile_open_attempts() -> None:
    rows = PaymentAttempt.objects.filter(state__in=OPEN_ATTEMPTS).select_related("payment")
    _sweep(rows, reconciliation.PAUSES, lambda attempt: services.reconcile_attempt(attempt=attempt))


@shared_task
def send_due_refunds() -> None:
    _sweep(_pending_refunds(), refunds.PAUSES, lambda refund: services.send_refund(refund=refund))


@shared_task
def delete_settled_webhook_events() -> None:
    logger.info("settled_webhook_events_deleted", rows=services.delete_settled_webhook_events())
    logger.info("old_comparisons_deleted", rows=services.delete_old_comparisons())


@shared_task
def compare_with_providers() -> None:
    """Whatever webhooks and questions have missed: disputes above all, and what nobody here asked for."""
    since = timezone.now() - timedelta(hours=settings.PAYMENT_RECONCILIATION_HOURS)
    for name in offered_providers():
        try:
            services.compare_with_provider(provider_name=name, since=since, unless_recent=True)
        except ProviderError as error:
            logger.warning("provider_not_compared", provider=name, error=str(error))


def _pending_refunds() -> QuerySet[Refund]:
    return Refund.objects.filter(status=RefundStatus.PENDING).select_related("payment")


def _sweep(rows: QuerySet[_Row], pauses: Sequence[float], handle: Callable[[_Row], None]) -> None:
    """Works on due rows a few at a time, for a limited time. One that fails is due again later and stops no other."""
    end = time.monotonic() + _SWEEP_SECONDS
    while time.monotonic() < end:
        claimed = claim_due(rows, limit=_SWEEP_ROWS, pauses=pauses)
        for row in claimed:
            try:
                with working_on(row):
                    handle(row)
            except Exception as error:  # noqa: BLE001 - whatever it is, the other rows go on
                logger.warning("due_row_failed", row=str(row), error=f"{type(error).__name__}: {error}")
        if len(claimed) < _SWEEP_ROWS:
            return
