"""Webhooks: the row first, answered at once; the effect by a job, each event once, in any order.

An event that tells of a final state carries its own proof and is applied as it is. Any other one is only a reason to ask
the provider how things stand now, which makes the order of events harmless.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from payments import providers
from payments.exceptions import WebhookRefused
from payments.models import AttemptState, Payment, Refund, WebhookEvent
from payments.providers import Intent, Provider, ProviderDispute, ProviderRefund, Webhook
from payments.services import disputes, outcomes, refunds
from shared_lib.exceptions import NotFound
from shared_lib.failpoints import around
from shared_lib.jobs import enqueue
from shared_lib.observability import tracing

logger = structlog.get_logger(__name__)

_KNOWN = "known already"


def receive_webhook(*, provider_name: str, headers: Mapping[str, str], body: bytes) -> None:
    """Stores a genuine webhook and asks the worker to process it; one that was stored before changes nothing.

    Raises `NotFound` for a provider that this shop does not have, `WebhookRefused` for what the provider did not sign.
    """
    try:
        provider = providers.get_provider(provider_name)
    except LookupError:
        raise NotFound from None
    try:
        webhook = provider.verify_webhook(headers, body)
    except providers.BadWebhook as error:
        raise WebhookRefused(str(error)) from None
    try:
        with around("webhooks.store"), transaction.atomic():
            _store(provider, webhook)
    except IntegrityError as error:
        if "webhook_event_once" not in str(error):
            raise


def process_webhook_event(*, event: WebhookEvent) -> None:
    """The effect of a claimed event. Raises what stops it, after noting it; the event is due again later."""
    try:
        provider = providers.get_provider(event.provider)
        match provider.read_event(event.payload):
            case Intent() as intent:
                outcome = _apply_intent(provider, intent)
            case ProviderRefund() as refund:
                outcome = _apply_refund(event.provider, refund)
            case ProviderDispute() as dispute:
                outcome = _apply_dispute(event.provider, dispute)
            case None:
                outcome = "not for us"
    except Exception as error:
        with around("webhooks.note"):
            WebhookEvent.objects.filter(pk=event.pk).update(outcome=f"{type(error).__name__}: {error}"[:200])
        raise
    with around("webhooks.settle"):
        WebhookEvent.objects.filter(pk=event.pk).update(
            outcome=outcome, settled_at=timezone.now(), due_at=None
        )


def delete_settled_webhook_events() -> int:
    """Forgets events that were settled PAYMENT_WEBHOOK_RETENTION_DAYS ago; their time stamps are refused long since."""
    limit = timezone.now() - timedelta(days=settings.PAYMENT_WEBHOOK_RETENTION_DAYS)
    with around("webhooks.forget"):
        deleted, _ = WebhookEvent.objects.filter(settled_at__lt=limit).delete()
    return deleted


def _store(provider: Provider, webhook: Webhook) -> None:
    """Needs an open transaction."""
    event = WebhookEvent(
        provider=provider.name, event_id=webhook.event_id, type=webhook.type, payload=webhook.payload
    )
    if _is_known(provider, webhook):
        event.outcome, event.settled_at = _KNOWN, timezone.now()
        event.settle()
    event.save(force_insert=True)
    if event.due_at:
        from payments.tasks import process_webhook_event as process_webhook_event_task

        enqueue(process_webhook_event_task, str(event.id))


def _is_known(provider: Provider, webhook: Webhook) -> bool:
    """Most events only repeat what the answer to our own call said before: those need no job."""
    try:
        told = provider.read_event(webhook.payload)
    except providers.UnreadableEvent:
        return False
    if not isinstance(told, Intent):
        return told is None
    payments = Payment.objects.filter(provider=provider.name, provider_reference=told.reference)
    status, order_id = payments.values_list("status", "order_id").first() or (None, None)
    tracing.note(order_id=order_id)
    return status in outcomes.FINAL and (told.status == status or told.status not in outcomes.FINAL)


def _apply_intent(provider: Provider, intent: Intent) -> str:
    payment = Payment.objects.filter(provider=provider.name, provider_reference=intent.reference).first()
    if payment is None:
        logger.warning("webhook_of_unknown_payment", provider=provider.name, reference=intent.reference)
        return "unknown payment"
    if intent.status in outcomes.FINAL:
        outcomes.record_outcome(payment_id=payment.id, intent=intent)
        return "applied"
    attempt = outcomes.open_attempt(payment)
    if attempt is None or attempt.state == AttemptState.RUNNING:
        return _KNOWN  # a running attempt gets its answer from the call itself, or from reconciliation
    with around("webhooks.provider"):
        now = provider.get_intent(payment.provider_reference)
    outcomes.record_outcome(payment_id=payment.id, intent=now, attempt_id=attempt.id)
    return "asked"


def _apply_refund(provider_name: str, told: ProviderRefund) -> str:
    refund = Refund.objects.filter(
        Q(pk=told.refund_id) if told.refund_id else Q(provider_reference=told.reference),
        payment__provider=provider_name,
        payment__provider_reference=told.payment_reference,
    ).first()
    if refund is None:
        logger.warning("webhook_of_unknown_refund", provider=provider_name, reference=told.reference)
        return "unknown refund"
    refunds.record_refund(refund_id=refund.id, payment_id=refund.payment_id, result=told)
    return "applied"


def _apply_dispute(provider_name: str, told: ProviderDispute) -> str:
    payment = Payment.objects.filter(
        provider=provider_name, provider_reference=told.payment_reference
    ).first()
    if payment is None:
        logger.warning("webhook_of_unknown_payment", provider=provider_name, reference=told.payment_reference)
        return "unknown payment"
    disputes.record_dispute(payment_id=payment.id, told=told)
    return "applied"
