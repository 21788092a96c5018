"""Disputes: the buyer's bank takes money back, and later gives it to us again or keeps it.

We do not start them, so all comes from the provider's word: by webhook, or by the comparison with the provider.
"""

from __future__ import annotations

from uuid import UUID

import structlog
from django.db import transaction

from payments import ledger
from payments.exceptions import ProviderMismatch, ToldTooEarly
from payments.models import Dispute, DisputeStatus, Payment, PaymentStatus
from payments.providers import ProviderDispute
from payments.services import outcomes
from shared_lib.contracts.events import PaymentDisputed
from shared_lib.events import publish
from shared_lib.failpoints import around

logger = structlog.get_logger(__name__)


def record_dispute(*, payment_id: UUID, told: ProviderDispute) -> Dispute:
    """Applies what the provider said of a dispute; what is known already changes nothing. A decision is final.

    Raises `ToldTooEarly` while we do not know yet that the payment was paid, `ProviderMismatch` when the amount cannot be.
    """
    with around("disputes.outcome"), transaction.atomic():
        payment = outcomes.lock_payment(payment_id)
        if payment.status != PaymentStatus.SUCCEEDED:
            raise ToldTooEarly(f"payment {payment_id} is {payment.status} and disputed")
        dispute = Dispute.objects.filter(payment=payment, provider_reference=told.reference).first()
        _check_amount(payment, dispute, told)
        if dispute is None:
            dispute = _open(payment, told)
        if dispute.status == DisputeStatus.OPEN and told.status != "open":
            _close(payment, dispute, won=told.status == "won")
        elif told.status not in (dispute.status, "open"):
            logger.error("dispute_decided_twice", dispute_id=str(dispute.id), told=told.status)
        return dispute


def _open(payment: Payment, told: ProviderDispute) -> Dispute:
    """Needs the payment's lock."""
    dispute = Dispute.objects.create(
        payment=payment,
        provider_reference=told.reference,
        dispute_amount=told.amount.amount,
        currency=told.amount.currency,
        reason=told.reason[:100],
    )
    payment.bump()
    payment.save(update_fields=["version", "updated_at"])
    ledger.book_dispute_opened(payment, dispute)
    publish(PaymentDisputed(**outcomes.state_of(payment), reason=dispute.reason), subject=payment.id)
    logger.warning("payment_disputed", payment_id=str(payment.id), dispute_id=str(dispute.id))
    return dispute


def _close(payment: Payment, dispute: Dispute, *, won: bool) -> None:
    """Needs the payment's lock."""
    dispute.status = DisputeStatus.WON if won else DisputeStatus.LOST
    dispute.save(update_fields=["status", "updated_at"])
    payment.save(update_fields=["updated_at"])
    ledger.book_dispute_closed(payment, dispute, won=won)


def _check_amount(payment: Payment, dispute: Dispute | None, told: ProviderDispute) -> None:
    known = dispute.amount if dispute else told.amount
    if told.amount != known or told.amount.currency != payment.currency or told.amount > payment.amount:
        logger.error("dispute_provider_mismatch", payment_id=str(payment.id), theirs=told.amount.format())
        raise ProviderMismatch(f"dispute {told.reference} of payment {payment.id}: {told.amount.format()}")
