"""Disputes: the buyer's bank takes money back, as the real sandbox tells of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.db.models import Sum

from payments import services, tasks
from payments.exceptions import PaymentNotRefundable, ProviderMismatch, ToldTooEarly
from payments.models import (
    Dispute,
    LedgerEntry,
    LedgerTransaction,
    Payment,
    Refund,
    RefundStatus,
    WebhookEvent,
)
from payments.providers import ProviderDispute
from shared_lib.contracts.events import PaymentDisputed
from shared_lib.ids import uuid7
from shared_lib.money import Money
from shared_lib.testing.races import at_once
from tests import factories
from tests.books import check_books
from tests.factories import new_payment, paid_payment, usd
from tests.sandbox_process import Receiver, SandboxProcess

pytestmark = [pytest.mark.django_db, pytest.mark.both_providers]

Published = Callable[[type], list[Any]]


def tell(receiver: Receiver, payment: Payment, kind: str) -> dict[str, Any]:
    """Passes the provider's webhook on, works on it, and returns the dispute as the provider sees it."""
    headers, body = receiver.wait_for(payment.provider_reference, kind)
    factories.tell(headers, body)
    tasks.process_due_webhook_events()
    dispute: dict[str, Any] = orjson.loads(body)["data"]["object"]
    return dispute


def balances() -> dict[str, int]:
    rows = LedgerEntry.objects.values_list("account").annotate(Sum("entry_amount"))
    return {"held" if account == factories.held() else account: total for account, total in rows if total}


def told(payment: Payment, **values: Any) -> ProviderDispute:
    return ProviderDispute(
        **{
            "reference": "dp_1",
            "payment_reference": payment.provider_reference,
            "status": "open",
            "amount": usd(1999),
            "reason": "fraudulent",
            **values,
        }
    )


@pytest.mark.parametrize(
    ("evidence", "after"),
    [
        ("winning_evidence", {"held": 1999, "customers": -1999}),
        ("losing_evidence", {"chargebacks": 1999, "customers": -1999}),
    ],
)
def test_a_dispute_takes_the_money_and_its_end_decides_where_it_stays(
    sandbox: SandboxProcess, receiver: Receiver, published: Published, evidence: str, after: dict[str, int]
) -> None:
    payment = paid_payment(payment_method="pm_card_createDispute")
    for _ in range(2):
        dispute = tell(receiver, payment, "dispute.created")
        assert balances() == {"disputed": 1999, "customers": -1999}
    [event] = published(PaymentDisputed)
    payment.refresh_from_db()
    assert (event.payment_id, event.reason, event.version) == (payment.id, "fraudulent", payment.version)
    assert payment.status == "succeeded"

    sandbox.post(f"/v1/disputes/{dispute['id']}", {"evidence": evidence})
    for _ in range(2):
        tell(receiver, payment, "dispute.closed")
        assert balances() == after
    assert len(published(PaymentDisputed)) == 1
    assert set(WebhookEvent.objects.values_list("outcome", flat=True)) == {"applied"}
    check_books(sandbox)


def test_the_end_of_a_dispute_may_be_told_before_its_beginning(
    sandbox: SandboxProcess, receiver: Receiver, published: Published
) -> None:
    payment = paid_payment(payment_method="pm_card_createDispute")
    _, body = receiver.wait_for(payment.provider_reference, "dispute.created")
    dispute = orjson.loads(body)["data"]["object"]
    sandbox.post(f"/v1/disputes/{dispute['id']}", {"evidence": "losing_evidence"})
    tell(receiver, payment, "dispute.closed")
    tell(receiver, payment, "dispute.created")
    assert Dispute.objects.get().status == "lost"
    assert len(published(PaymentDisputed)) == 1
    check_books(sandbox)


def test_money_that_the_bank_took_is_not_refunded_as_well() -> None:
    payment = paid_payment()
    services.record_dispute(payment_id=payment.id, told=told(payment))

    def ask() -> Refund:
        refund, _ = services.request_refund(
            payment_id=payment.id, refund_id=uuid7(), amount=usd(1), reason="return"
        )
        return refund

    with pytest.raises(PaymentNotRefundable):
        ask()
    services.record_dispute(payment_id=payment.id, told=told(payment, status="won"))
    assert ask().status == RefundStatus.PENDING


def test_a_refund_that_meets_a_dispute_is_refused_by_the_provider(
    sandbox: SandboxProcess, receiver: Receiver
) -> None:
    payment = paid_payment(payment_method="pm_card_createDispute")
    refund, _ = services.request_refund(
        payment_id=payment.id, refund_id=uuid7(), amount=usd(500), reason="return"
    )
    tell(receiver, payment, "dispute.created")
    tasks.send_refund(str(refund.id))
    refund.refresh_from_db()
    assert (refund.status, refund.failure_code) == (RefundStatus.FAILED, "charge_disputed")
    check_books(sandbox)


def test_a_dispute_of_what_is_not_paid_yet_waits() -> None:
    payment = new_payment()
    with pytest.raises(ToldTooEarly):
        services.record_dispute(payment_id=payment.id, told=told(payment))
    assert not Dispute.objects.exists()


@pytest.mark.parametrize("amount", [usd(2000), Money(1999, "EUR")])
def test_a_dispute_of_an_impossible_amount_books_nothing(amount: Money) -> None:
    payment = paid_payment()
    with pytest.raises(ProviderMismatch):
        services.record_dispute(payment_id=payment.id, told=told(payment, amount=amount))
    services.record_dispute(payment_id=payment.id, told=told(payment))
    with pytest.raises(ProviderMismatch):
        services.record_dispute(payment_id=payment.id, told=told(payment, amount=usd(5)))
    assert LedgerTransaction.objects.filter(kind="dispute_opened").count() == 1


def test_a_decision_is_final() -> None:
    payment = paid_payment()
    services.record_dispute(payment_id=payment.id, told=told(payment, status="lost"))
    after = services.record_dispute(payment_id=payment.id, told=told(payment, status="won"))
    assert after.status == "lost"
    assert balances() == {"chargebacks": 1999, "customers": -1999}


@pytest.mark.django_db(transaction=True)
def test_a_dispute_that_is_told_at_once_is_booked_once(published: Published) -> None:
    payment = paid_payment()
    results = at_once(
        *[lambda: services.record_dispute(payment_id=payment.id, told=told(payment))] * 3,
        *[lambda: services.record_dispute(payment_id=payment.id, told=told(payment, status="lost"))] * 3,
    )
    assert not [result for result in results if isinstance(result, Exception)]
    assert Dispute.objects.get().status == "lost"
    assert LedgerTransaction.objects.filter(dispute__isnull=False).count() == 2
    assert len(published(PaymentDisputed)) == 1
