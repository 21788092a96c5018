"""What a provider says becomes our state: the one place that moves payments, books money and publishes.

A provider's word comes by several ways at once: the answer to a confirmation or a cancellation, a webhook, a reconciling
question; each may be late, doubled or out of order. So:

- `succeeded` and `canceled` are final at the provider and are applied whoever brings them.
- Anything else is only a picture of a moment. It counts if it was taken for the attempt that is still the open one.
- What is known already changes nothing, publishes nothing and books nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.utils import timezone

from payments import ledger
from payments.exceptions import ProviderMismatch
from payments.models import OPEN_ATTEMPTS, AttemptState, Payment, PaymentAttempt, PaymentStatus
from payments.providers import Intent
from shared_lib.contracts.events import (
    PaymentActionRequired,
    PaymentAttemptFailed,
    PaymentCanceled,
    PaymentProcessing,
    PaymentSucceeded,
)
from shared_lib.events import publish
from shared_lib.failpoints import around
from shared_lib.observability import tracing

logger = structlog.get_logger(__name__)

# When to ask the provider about an attempt that is in this state now; after that, see `reconciliation.PAUSES`.
FIRST_QUESTION = {
    AttemptState.REQUIRES_ACTION: timedelta(seconds=60),
    AttemptState.PROCESSING: timedelta(seconds=5),
}

FINAL = frozenset({"succeeded", "canceled"})


def lock_payment(payment_id: UUID) -> Payment:
    return Payment.objects.select_for_update().get(pk=payment_id)


def open_attempt(payment: Payment) -> PaymentAttempt | None:
    return PaymentAttempt.objects.filter(payment=payment, state__in=OPEN_ATTEMPTS).first()


def record_outcome(*, payment_id: UUID, intent: Intent, attempt_id: UUID | None = None) -> Payment:
    """Applies what the provider said and returns the payment as it is then.

    `attempt_id` names the attempt that a picture of a moment was taken for; without it only `processing` counts.
    Raises `ProviderMismatch` when the provider's amount is not ours.
    """
    with around("payments.outcome"), transaction.atomic():
        payment = lock_payment(payment_id)
        tracing.note(order_id=payment.order_id)
        check_amount(payment, intent)
        if intent.status == payment.status and intent.status in FINAL:
            return payment
        match intent.status:
            case "succeeded":
                _succeed(payment)
            case "canceled" if payment.is_open:
                mark_canceled(payment)
            case "canceled":
                logger.error("provider_cancels_what_it_paid", payment_id=str(payment.id))
            case _ if payment.is_open:
                _record_moment(payment, intent, attempt_id)
        return payment


def check_amount(payment: Payment, intent: Intent) -> None:
    if intent.amount != payment.amount:
        logger.error(
            "payment_provider_mismatch",
            payment_id=str(payment.id),
            ours=payment.amount.format(),
            theirs=intent.amount.format(),
        )
        raise ProviderMismatch(
            f"payment {payment.id}: {payment.amount.format()} here, {intent.amount.format()} there"
        )


def mark_canceled(payment: Payment) -> None:
    """Needs the payment's lock, and that the provider canceled it or was never asked to charge."""
    _close_open_attempt(payment, AttemptState.CANCELED)
    payment.move_to(PaymentStatus.CANCELED)
    _save(payment)
    publish(PaymentCanceled(**state_of(payment)), subject=payment.id)


def mark_processing(payment: Payment, attempt: PaymentAttempt) -> None:
    """Needs the payment's lock. The money is on its way, or nobody knows yet."""
    if attempt.state != AttemptState.PROCESSING:
        keep_open(attempt, AttemptState.PROCESSING)
    if payment.status != PaymentStatus.PROCESSING:
        payment.move_to(PaymentStatus.PROCESSING)
        _save(payment)
        publish(PaymentProcessing(**state_of(payment)), subject=payment.id)


def close_attempt(attempt: PaymentAttempt, state: AttemptState, *, failure_code: str = "") -> None:
    """Needs the payment's lock. Nothing more to ask about this attempt."""
    attempt.state = state
    attempt.failure_code = failure_code[:64]
    attempt.settle()
    attempt.save(update_fields=["state", "failure_code", "due_at", "updated_at"])


def _record_moment(payment: Payment, intent: Intent, attempt_id: UUID | None) -> None:
    attempt = open_attempt(payment)
    match intent.status:
        case _ if attempt is None:
            pass
        case "processing" if attempt_id in (None, attempt.id):
            mark_processing(payment, attempt)
        case "requires_action" if attempt_id == attempt.id:
            _require_action(payment, attempt, intent.redirect_url)
        case "requires_payment_method" if attempt_id == attempt.id:
            _fail_attempt(payment, attempt, intent.failure_code or "outcome_unknown")


def _succeed(payment: Payment) -> None:
    if not payment.is_open:
        logger.error("payment_succeeded_after_cancel", payment_id=str(payment.id))
    _close_open_attempt(payment, AttemptState.SUCCEEDED)
    payment.move_to(PaymentStatus.SUCCEEDED)
    _save(payment)
    ledger.book_capture(payment)
    publish(
        PaymentSucceeded(**state_of(payment), provider_reference=payment.provider_reference),
        subject=payment.id,
    )


def _require_action(payment: Payment, attempt: PaymentAttempt, url: str) -> None:
    if attempt.state != AttemptState.REQUIRES_ACTION:
        keep_open(attempt, AttemptState.REQUIRES_ACTION)
    if payment.action_url != url:
        payment.move_to(PaymentStatus.REQUIRES_ACTION, action_url=url)
        _save(payment)
        publish(PaymentActionRequired(**state_of(payment)), subject=payment.id)


def _fail_attempt(payment: Payment, attempt: PaymentAttempt, failure_code: str) -> None:
    close_attempt(attempt, AttemptState.FAILED, failure_code=failure_code)
    payment.move_to(PaymentStatus.REQUIRES_PAYMENT_METHOD)
    _save(payment)
    publish(PaymentAttemptFailed(**state_of(payment), failure_code=attempt.failure_code), subject=payment.id)


def supersede_action(payment: Payment) -> None:
    """Needs the payment's lock. Another confirmation takes the place of an attempt that waits for an action."""
    PaymentAttempt.objects.filter(payment=payment, state=AttemptState.REQUIRES_ACTION).update(
        state=AttemptState.CANCELED, due_at=None, updated_at=timezone.now()
    )


def _close_open_attempt(payment: Payment, state: AttemptState) -> None:
    """`close_attempt` for whichever is open, if one is. Needs the payment's lock."""
    PaymentAttempt.objects.filter(payment=payment, state__in=OPEN_ATTEMPTS).update(
        state=state, due_at=None, updated_at=timezone.now()
    )


def keep_open(attempt: PaymentAttempt, state: AttemptState) -> None:
    """Needs the payment's lock. The attempt waits for something, and somebody will ask for it."""
    attempt.state = state
    attempt.due_at = timezone.now() + FIRST_QUESTION[state]
    attempt.save(update_fields=["state", "due_at", "updated_at"])


def _save(payment: Payment) -> None:
    """Needs the payment's lock."""
    payment.save(update_fields=["status", "action_url", "version", "updated_at"])


def state_of(payment: Payment) -> dict[str, Any]:
    """What every event of a payment tells."""
    return {
        "version": payment.version,
        "payment_id": payment.id,
        "order_id": payment.order_id,
        "user_id": payment.user_id,
        "amount": payment.amount,
        "provider": payment.provider,
    }
