"""Asks the provider about attempts whose outcome has not come by itself: a lost answer, a lost webhook, a dead process."""

from __future__ import annotations

from django.db import transaction

from payments import providers
from payments.models import AttemptState, PaymentAttempt
from payments.services import outcomes
from shared_lib.failpoints import around

# Seconds between questions about one attempt: some days, after which a person has to look.
PAUSES = (5, 10, 20, 60, 120, 300, 600, 1800, *(3600,) * 80)


def reconcile_attempt(*, attempt: PaymentAttempt) -> None:
    """Brings a claimed attempt and its payment to what the provider knows of it.

    Raises `ProviderError` when the provider does not say, `LookupError` when it is not configured any more; the attempt
    is due again later.
    """
    payment = attempt.payment
    if not payment.provider_reference:
        _abandon(attempt)
        return
    with around("reconcile.provider"):
        intent = providers.get_provider(payment.provider).get_intent(payment.provider_reference)
    outcomes.record_outcome(payment_id=payment.id, intent=intent, attempt_id=attempt.id)


def _abandon(attempt: PaymentAttempt) -> None:
    """Without a stored reference nothing was ever confirmed."""
    with around("reconcile.abandon"), transaction.atomic():
        payment = outcomes.lock_payment(attempt.payment_id)
        current = outcomes.open_attempt(payment)
        if current and current.id == attempt.id and not payment.provider_reference:
            outcomes.close_attempt(current, AttemptState.FAILED, failure_code="not_sent")
