"""What must hold between payments, ledger, events and provider whenever nothing is under way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from payments import tasks
from payments.models import (
    Dispute,
    LedgerEntry,
    LedgerTransaction,
    Payment,
    PaymentAttempt,
    PaymentStatus,
    Refund,
    RefundStatus,
    WebhookEvent,
)
from shared_lib.contracts.events import (
    PaymentCanceled,
    PaymentDisputed,
    PaymentRefunded,
    PaymentRefundFailed,
    PaymentSucceeded,
)
from shared_lib.outbox.models import OutboxEvent
from tests.sandbox_process import SandboxProcess


def make_due() -> None:
    """Time passes: everything that is to be tried later may be tried now."""
    past = timezone.now() - timedelta(seconds=1)
    for model in (PaymentAttempt, Refund, WebhookEvent):
        model._default_manager.filter(due_at__isnull=False).update(due_at=past)


def sweep() -> None:
    """One turn of everything that runs by itself."""
    make_due()
    tasks.process_due_webhook_events()
    tasks.reconcile_open_attempts()
    tasks.send_due_refunds()


def published_of(payment: Payment, contract: Any) -> int:
    return OutboxEvent.objects.filter(type=contract.event_type, subject=str(payment.id)).count()


def check_books(sandbox: SandboxProcess) -> None:
    """Compares every payment with its ledger, its events and the provider. Nothing may be under way."""
    sums = LedgerEntry.objects.values("transaction", "currency").annotate(sum=Sum("entry_amount"))
    assert not [row for row in sums if row["sum"]], "every transaction sums to zero in each currency"
    for payment in Payment.objects.all():
        paid = payment.status == PaymentStatus.SUCCEEDED
        refunds = Refund.objects.filter(payment=payment)
        returned = refunds.filter(status=RefundStatus.SUCCEEDED)
        back = returned.aggregate(sum=Sum("refund_amount"))["sum"] or 0
        assert payment.refunded_amount == back
        assert not refunds.filter(status=RefundStatus.PENDING).exists()
        assert payment.refunding_amount == 0

        booked = LedgerTransaction.objects.filter(payment=payment)
        assert booked.filter(kind="capture").count() == (1 if paid else 0)
        assert booked.filter(kind="refund").count() == returned.count()
        disputes = Dispute.objects.filter(payment=payment)
        assert booked.filter(kind="dispute_opened").count() == disputes.count()
        assert booked.filter(kind="dispute_won").count() == disputes.filter(status="won").count()
        assert booked.filter(kind="dispute_lost").count() == disputes.filter(status="lost").count()
        taken = disputes.exclude(status="won").aggregate(sum=Sum("dispute_amount"))["sum"] or 0
        assert published_of(payment, PaymentDisputed) == disputes.count()
        held = LedgerEntry.objects.filter(
            transaction__payment=payment, account=f"provider.{payment.provider}"
        )
        assert (held.aggregate(sum=Sum("entry_amount"))["sum"] or 0) == (
            payment.payment_amount - back - taken if paid else 0
        )

        assert published_of(payment, PaymentSucceeded) == (1 if paid else 0)
        assert published_of(payment, PaymentCanceled) == (
            1 if payment.status == PaymentStatus.CANCELED else 0
        )
        assert published_of(payment, PaymentRefunded) == returned.count()
        failed = refunds.filter(status=RefundStatus.FAILED).count()
        assert published_of(payment, PaymentRefundFailed) == failed

        if payment.provider_reference:
            intent = sandbox.intent(payment.provider_reference)
            assert intent["amount_received"] == (payment.payment_amount if paid else 0)
            assert intent["amount_refunded"] == back
            assert intent["status"] == payment.status
