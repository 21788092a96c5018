"""Refunds: reserved under the payment's lock, sent by a job, booked when the provider says that the money went back.

What is asked for (`refunding_amount`) and what went back (`refunded_amount`) never exceed the payment together; a check
constraint says the same. A refund that fails gives its part free again.
"""

from __future__ import annotations

from uuid import UUID

import msgspec
import structlog
from django.db import transaction

from payments import ledger, providers
from payments.exceptions import PaymentNotRefundable, ProviderMismatch, RefundExceedsPayment, RefundIdReused
from payments.models import DisputeStatus, Payment, PaymentStatus, Refund, RefundStatus
from payments.providers import ProviderRefund
from payments.services import outcomes
from shared_lib.contracts.events import PaymentRefunded, PaymentRefundFailed
from shared_lib.events import publish
from shared_lib.exceptions import InvalidValue, NotFound
from shared_lib.failpoints import around
from shared_lib.jobs import enqueue
from shared_lib.money import Money

logger = structlog.get_logger(__name__)

# Seconds between tries of one refund, each longer than a call may take.
PAUSES = (30, 60, 120, 300, 600, 1800, *(3600,) * 80)


def request_refund(*, payment_id: UUID, refund_id: UUID, amount: Money, reason: str) -> tuple[Refund, bool]:
    """The refund named `refund_id`, `pending` if it is new, and whether it is new. A job sends it to the provider.

    Raises `NotFound`, `PaymentNotRefundable`, `RefundExceedsPayment`, `RefundIdReused`, `InvalidValue`.
    """
    if amount.amount < 1:
        raise InvalidValue("amount.amount", "Must be at least 1.", "min_value")
    with around("refunds.request"), transaction.atomic():
        payment = Payment.objects.select_for_update().filter(pk=payment_id).first()
        if payment is None:
            raise NotFound
        if existing := Refund.objects.filter(pk=refund_id).first():
            if (existing.payment_id, existing.amount) != (payment_id, amount):
                raise RefundIdReused
            return existing, False
        if amount.currency != payment.currency:
            raise InvalidValue("amount.currency", f"The payment was made in {payment.currency}.")
        if payment.status != PaymentStatus.SUCCEEDED:
            raise PaymentNotRefundable(f"The payment is {payment.status}.")
        if payment.disputes.exclude(status=DisputeStatus.WON).exists():
            raise PaymentNotRefundable("The buyer's bank has taken the money back already.")
        if payment.refundable < amount:
            raise RefundExceedsPayment(refundable=msgspec.to_builtins(payment.refundable))
        payment.refunding_amount += amount.amount
        payment.save(update_fields=["refunding_amount", "updated_at"])
        refund = Refund(
            id=refund_id,
            payment=payment,
            refund_amount=amount.amount,
            currency=amount.currency,
            reason=reason,
        )
        refund.save(force_insert=True)
        from payments.tasks import send_refund as send_refund_task

        enqueue(send_refund_task, str(refund.id))
        return refund, True


def send_refund(*, refund: Refund) -> None:
    """Sends a claimed refund, or asks how one that was sent goes on.

    Raises `ProviderError` when the provider does not say; the refund is due again later.
    """
    payment = refund.payment
    provider = providers.get_provider(payment.provider)
    try:
        with around("refunds.provider"):
            if refund.provider_reference:
                result = provider.get_refund(refund.provider_reference)
            else:
                result = provider.refund(
                    payment.provider_reference,
                    refund_id=refund.id,
                    amount=refund.amount,
                    reason=refund.reason,
                )
    except providers.ProviderRefused as error:
        logger.error("refund_refused_by_provider", refund_id=str(refund.id), code=error.code)
        result = ProviderRefund(
            reference=refund.provider_reference,
            payment_reference=payment.provider_reference,
            status="failed",
            amount=refund.amount,
            failure_code=error.code,
        )
    record_refund(refund_id=refund.id, payment_id=payment.id, result=result)


def record_refund(*, refund_id: UUID, payment_id: UUID, result: ProviderRefund) -> None:
    """Applies what the provider said of a refund; what is known already changes nothing.

    Raises `ProviderMismatch` when the provider's amount is not ours.
    """
    with around("refunds.outcome"), transaction.atomic():
        payment = outcomes.lock_payment(payment_id)
        refund = Refund.objects.select_for_update().get(pk=refund_id)
        if result.amount != refund.amount:
            logger.error("refund_provider_mismatch", refund_id=str(refund_id), theirs=result.amount.format())
            raise ProviderMismatch(
                f"refund {refund_id}: {refund.amount.format()} here, {result.amount.format()} there"
            )
        if refund.status != RefundStatus.PENDING:
            if result.status == "failed" and refund.status == RefundStatus.SUCCEEDED:
                logger.error("refund_failed_after_success", refund_id=str(refund_id))
            return
        refund.provider_reference = result.reference
        match result.status:
            case "succeeded":
                _succeed(payment, refund)
            case "failed":
                _fail(payment, refund, result.failure_code)
        refund.save(update_fields=["status", "provider_reference", "failure_code", "due_at", "updated_at"])


def _succeed(payment: Payment, refund: Refund) -> None:
    """Needs the payment's lock. The caller saves the refund."""
    refund.status = RefundStatus.SUCCEEDED
    refund.settle()
    payment.refunding_amount -= refund.refund_amount
    payment.refunded_amount += refund.refund_amount
    payment.bump()
    payment.save(update_fields=["refunding_amount", "refunded_amount", "version", "updated_at"])
    ledger.book_refund(payment, refund)
    publish(
        PaymentRefunded(
            **outcomes.state_of(payment),
            refund_id=refund.id,
            refund_amount=refund.amount,
            refunded_total=payment.refunded,
        ),
        subject=payment.id,
    )


def _fail(payment: Payment, refund: Refund, failure_code: str) -> None:
    """Needs the payment's lock. The caller saves the refund."""
    refund.status = RefundStatus.FAILED
    refund.failure_code = failure_code[:64]
    refund.settle()
    payment.refunding_amount -= refund.refund_amount
    payment.bump()
    payment.save(update_fields=["refunding_amount", "version", "updated_at"])
    publish(
        PaymentRefundFailed(
            **outcomes.state_of(payment),
            refund_id=refund.id,
            refund_amount=refund.amount,
            failure_code=refund.failure_code,
        ),
        subject=payment.id,
    )
    logger.error("refund_failed", refund_id=str(refund.id), payment_id=str(payment.id), code=failure_code)
