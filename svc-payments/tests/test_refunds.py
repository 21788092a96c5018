"""Refunds, from the request to the money back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import Sum

from payments import services, tasks
from payments.exceptions import PaymentNotRefundable, RefundExceedsPayment, RefundIdReused
from payments.models import LedgerEntry, LedgerTransaction, Payment, Refund, RefundStatus, WebhookEvent
from payments.providers import OutcomeUnknown, ProviderUnavailable
from shared_lib.contracts.events import PaymentRefunded, PaymentRefundFailed
from shared_lib.exceptions import InvalidValue, NotFound
from shared_lib.ids import uuid7
from shared_lib.money import Money
from tests.factories import confirm, held, new_payment, paid_payment, raising, tell, usd
from tests.sandbox_process import Receiver, SandboxProcess, wait_for

pytestmark = [pytest.mark.django_db, pytest.mark.both_providers]

Published = Callable[[type], list[Any]]


def request_refund(payment: Payment, amount: int, **values: Any) -> Refund:
    refund, _ = services.request_refund(
        **{
            "payment_id": payment.id,
            "refund_id": uuid7(),
            "amount": usd(amount),
            "reason": "return",
            **values,
        }
    )
    return refund


def test_a_refund_is_pending_until_the_provider_has_it(
    sandbox: SandboxProcess, published: Published, hints: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    payment = paid_payment()
    with django_capture_on_commit_callbacks(execute=True):
        refund = request_refund(payment, 500)
    assert refund.status == RefundStatus.PENDING
    assert hints == [("payments.tasks.send_refund", (str(refund.id),))]
    payment.refresh_from_db()
    assert (payment.refunding_amount, payment.refunded_amount, payment.refundable) == (500, 0, usd(1499))

    tasks.send_refund(str(refund.id))
    refund.refresh_from_db()
    payment.refresh_from_db()
    assert (refund.status, refund.due_at) == (RefundStatus.SUCCEEDED, None)
    assert (payment.refunding_amount, payment.refunded_amount) == (0, 500)
    assert sandbox.intent(payment.provider_reference)["amount_refunded"] == 500
    [event] = published(PaymentRefunded)
    assert (event.refund_id, event.refund_amount, event.refunded_total) == (refund.id, usd(500), usd(500))
    assert event.version == payment.version == 3
    sums = LedgerEntry.objects.values_list("account").annotate(Sum("entry_amount")).order_by("account")
    assert list(sums) == [("customers", -1499), (held(), 1499)]


def test_the_same_refund_again_is_the_same_refund() -> None:
    payment = paid_payment()
    refund = request_refund(payment, 500)
    again, created = services.request_refund(
        payment_id=payment.id, refund_id=refund.id, amount=usd(500), reason="another word"
    )
    assert (again.pk, created) == (refund.pk, False)
    with pytest.raises(RefundIdReused):
        request_refund(payment, 501, refund_id=refund.id)
    with pytest.raises(RefundIdReused):
        request_refund(paid_payment(), 500, refund_id=refund.id)
    payment.refresh_from_db()
    assert payment.refunding_amount == 500


def test_no_more_than_was_paid_goes_back() -> None:
    payment = paid_payment(amount=1000)
    tasks.send_refund(str(request_refund(payment, 600).id))
    with pytest.raises(RefundExceedsPayment) as refused:
        request_refund(payment, 401)
    assert refused.value.extra == {"refundable": {"amount": 400, "currency": "USD"}}
    request_refund(payment, 400)
    with pytest.raises(RefundExceedsPayment):
        request_refund(payment, 1)


def test_the_database_too_refuses_more_than_was_paid() -> None:
    payment = paid_payment(amount=1000)
    with pytest.raises(IntegrityError), transaction.atomic():
        Payment.objects.filter(pk=payment.pk).update(refunded_amount=1001)
    unpaid = new_payment()
    with pytest.raises(IntegrityError), transaction.atomic():
        Payment.objects.filter(pk=unpaid.pk).update(refunding_amount=1)


def test_only_what_was_paid_is_refunded() -> None:
    with pytest.raises(PaymentNotRefundable):
        request_refund(new_payment(), 1)
    with pytest.raises(PaymentNotRefundable):
        request_refund(confirm(new_payment(), "pm_card_delayed"), 1)
    with pytest.raises(NotFound):
        services.request_refund(payment_id=uuid7(), refund_id=uuid7(), amount=usd(1), reason="")


@pytest.mark.parametrize("amount", [usd(0), usd(-1), Money(100, "EUR")])
def test_an_impossible_amount_is_refused(amount: Money) -> None:
    payment = paid_payment()
    with pytest.raises(InvalidValue):
        services.request_refund(payment_id=payment.id, refund_id=uuid7(), amount=amount, reason="")


@pytest.mark.parametrize("error", [ProviderUnavailable("refused"), OutcomeUnknown("timed out")])
def test_a_refund_outlives_a_provider_that_is_away(
    provider: Any, sandbox: SandboxProcess, error: Exception
) -> None:
    payment = paid_payment()
    refund = request_refund(payment, 500)
    # A lost answer: the provider did it, we do not know.
    provider.after["refund"] = raising(error)
    with pytest.raises(type(error)):
        tasks.send_refund(str(refund.id))
    refund.refresh_from_db()
    assert (refund.status, refund.attempts) == (RefundStatus.PENDING, 1)
    assert refund.due_at is not None

    Refund.objects.update(due_at=refund.created_at)
    tasks.send_due_refunds()
    refund.refresh_from_db()
    assert refund.status == RefundStatus.SUCCEEDED
    assert sandbox.intent(payment.provider_reference)["amount_refunded"] == 500
    assert LedgerTransaction.objects.filter(refund=refund).count() == 1


def test_a_slow_refund_succeeds_by_webhook(
    receiver: Receiver, sandbox: SandboxProcess, published: Published
) -> None:
    payment = paid_payment(payment_method="pm_card_pendingRefund")
    refund = request_refund(payment, 500)
    tasks.send_refund(str(refund.id))
    refund.refresh_from_db()
    assert refund.status == RefundStatus.PENDING
    assert refund.provider_reference.startswith("re_")

    headers, body = receiver.wait_for(refund.provider_reference, "refund.succeeded")
    for _ in range(2):
        tell(headers, body)
    tasks.process_due_webhook_events()
    refund.refresh_from_db()
    payment.refresh_from_db()
    assert refund.status == RefundStatus.SUCCEEDED
    assert payment.refunded_amount == 500
    assert len(published(PaymentRefunded)) == 1
    assert WebhookEvent.objects.get().outcome == "applied"


def test_a_slow_refund_is_found_by_asking_too(sandbox: SandboxProcess) -> None:
    payment = paid_payment(payment_method="pm_card_pendingRefund")
    refund = request_refund(payment, 500)
    tasks.send_refund(str(refund.id))

    def ask() -> bool:
        Refund.objects.filter(due_at__isnull=False).update(due_at=refund.created_at)
        tasks.send_due_refunds()
        refund.refresh_from_db()
        return refund.status == RefundStatus.SUCCEEDED

    wait_for(ask)


def test_a_refund_that_fails_frees_its_amount(sandbox: SandboxProcess, published: Published) -> None:
    payment = paid_payment(payment_method="pm_card_refundFail")
    refund = request_refund(payment, 1999)
    tasks.send_refund(str(refund.id))

    def failed() -> bool:
        Refund.objects.filter(due_at__isnull=False).update(due_at=refund.created_at)
        tasks.send_due_refunds()
        refund.refresh_from_db()
        return refund.status == RefundStatus.FAILED

    wait_for(failed)
    payment.refresh_from_db()
    assert (payment.refunding_amount, payment.refunded_amount) == (0, 0)
    assert refund.failure_code == "expired_or_canceled_card"
    assert not published(PaymentRefunded)
    assert not LedgerTransaction.objects.filter(refund=refund).exists()
    [event] = published(PaymentRefundFailed)
    assert (event.refund_id, event.refund_amount) == (refund.id, usd(1999))
    assert (event.failure_code, event.version) == ("expired_or_canceled_card", payment.version)


def test_a_refund_that_the_provider_refuses_has_failed(sandbox: SandboxProcess, published: Published) -> None:
    payment = paid_payment(amount=1000)
    # Somebody gave most of the money back by hand, at the provider.
    by_hand = {"payment_intent": payment.provider_reference, "amount": 900}
    assert sandbox.post("/v1/refunds", by_hand, key=str(uuid7())).status_code == 200
    refund = request_refund(payment, 500)
    tasks.send_refund(str(refund.id))
    refund.refresh_from_db()
    assert (refund.status, refund.failure_code) == (RefundStatus.FAILED, "charge_exceeds_amount")
    assert [event.failure_code for event in published(PaymentRefundFailed)] == ["charge_exceeds_amount"]
