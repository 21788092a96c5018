"""Money under concurrency: real threads, real connections, the real provider."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum

from payments import services, tasks
from payments.exceptions import OrderHasPayment, PaymentNotConfirmable, RefundExceedsPayment
from payments.models import (
    AttemptState,
    LedgerEntry,
    LedgerTransaction,
    Payment,
    PaymentAttempt,
    PaymentStatus,
    Refund,
    RefundStatus,
)
from shared_lib.contracts.events import PaymentCanceled, PaymentRefunded, PaymentSucceeded
from shared_lib.exceptions import NotFound
from shared_lib.ids import uuid7
from shared_lib.testing.races import at_once
from tests.factories import confirm, new_payment, paid_payment, usd
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)

Published = Callable[[type], list[Any]]


def kinds(results: Sequence[Any]) -> Counter[str]:
    return Counter(
        result.status if isinstance(result, Payment) else type(result).__name__ for result in results
    )


def charged(sandbox: SandboxProcess, payment: Payment) -> int:
    return int(sandbox.intent(payment.provider_reference)["amount_received"])


def test_confirmations_at_once_charge_once(sandbox: SandboxProcess, published: Published) -> None:
    payment = new_payment()
    results = at_once(*[lambda: confirm(payment)] * 8)
    assert kinds(results)["succeeded"] == 1
    assert kinds(results)["PaymentNotConfirmable"] == 7
    payment.refresh_from_db()
    assert charged(sandbox, payment) == 1999
    assert PaymentAttempt.objects.count() == 1
    assert LedgerTransaction.objects.count() == 1
    assert len(published(PaymentSucceeded)) == 1


@pytest.mark.parametrize("round_", range(5))
def test_confirmation_against_cancellation_has_one_winner(
    sandbox: SandboxProcess, published: Published, round_: int
) -> None:
    payment = confirm(new_payment(), "pm_card_authenticationRequired")
    confirmed, canceled = at_once(
        lambda: confirm(payment), lambda: services.cancel_payment(payment_id=payment.id)
    )
    payment.refresh_from_db()
    paid = payment.status == PaymentStatus.SUCCEEDED
    assert payment.status == ("succeeded" if paid else "canceled")
    assert sandbox.intent(payment.provider_reference)["status"] == payment.status
    assert canceled.status == payment.status
    assert len(published(PaymentSucceeded)) == LedgerTransaction.objects.count() == (1 if paid else 0)
    assert len(published(PaymentCanceled)) == (0 if paid else 1)
    if not paid:
        assert isinstance(confirmed, PaymentNotConfirmable) or confirmed.status == PaymentStatus.CANCELED
    assert not PaymentAttempt.objects.filter(due_at__isnull=False).exists()


def test_a_cancellation_before_the_first_charge_wins(
    provider: Any, sandbox: SandboxProcess, published: Published
) -> None:
    payment = new_payment()
    provider.after["create_intent"] = lambda: at_once(lambda: services.cancel_payment(payment_id=payment.id))
    with pytest.raises(PaymentNotConfirmable):
        confirm(payment)
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.CANCELED
    assert "confirm_intent" not in provider.calls
    assert len(published(PaymentCanceled)) == 1
    assert PaymentAttempt.objects.get().state == AttemptState.CANCELED


def test_a_cancellation_between_claim_and_charge_is_decided_by_the_provider(
    provider: Any, sandbox: SandboxProcess, published: Published
) -> None:
    payment = new_payment()
    provider.before["confirm_intent"] = lambda: at_once(
        lambda: services.cancel_payment(payment_id=payment.id)
    )
    assert confirm(payment).status == PaymentStatus.CANCELED
    payment.refresh_from_db()
    assert charged(sandbox, payment) == 0
    assert not published(PaymentSucceeded)
    assert len(published(PaymentCanceled)) == 1


def test_a_charge_that_came_first_survives_the_cancellation(
    provider: Any, sandbox: SandboxProcess, published: Published
) -> None:
    payment = new_payment()
    seen: list[Any] = []
    provider.after["confirm_intent"] = lambda: seen.extend(
        at_once(lambda: services.cancel_payment(payment_id=payment.id))
    )
    assert confirm(payment).status == PaymentStatus.SUCCEEDED
    assert seen[0].status == PaymentStatus.SUCCEEDED
    assert not published(PaymentCanceled)
    assert len(published(PaymentSucceeded)) == LedgerTransaction.objects.count() == 1


def test_no_lock_is_held_while_the_provider_is_called(provider: Any) -> None:
    payment = new_payment()

    def lock_at_once() -> None:
        [result] = at_once(
            lambda: connection.cursor().execute(
                "SELECT 1 FROM payments_payment WHERE id = %s FOR UPDATE NOWAIT", [payment.id]
            )
        )
        assert not isinstance(result, Exception), result

    for call in ("create_intent", "confirm_intent"):
        provider.before[call] = lock_at_once
    assert confirm(payment).status == PaymentStatus.SUCCEEDED
    assert provider.before == {}


def test_the_same_payment_made_at_once_is_one_row() -> None:
    values: dict[str, Any] = {
        "payment_id": uuid7(),
        "order_id": uuid7(),
        "user_id": uuid7(),
        "amount": usd(500),
    }
    results = at_once(*[lambda: services.create_payment(**values)] * 6)
    assert sorted(created for _, created in results) == [False] * 5 + [True]
    assert Payment.objects.count() == 1


def test_two_payments_of_one_order_at_once_leave_one() -> None:
    order_id = uuid7()
    results = at_once(*[lambda: new_payment(order_id=order_id)] * 4)
    assert kinds(results) == {"requires_payment_method": 1, OrderHasPayment.__name__: 3}


@pytest.mark.parametrize("round_", range(5))
def test_a_creation_that_meets_its_cancellation_can_never_be_paid(round_: int) -> None:
    payment_id = uuid7()
    _, canceled = at_once(
        lambda: new_payment(payment_id=payment_id), lambda: services.cancel_payment(payment_id=payment_id)
    )
    assert isinstance(canceled, NotFound) or canceled.status == PaymentStatus.CANCELED
    assert Payment.objects.get().status == PaymentStatus.CANCELED


def test_refunds_at_once_never_exceed_what_was_paid(sandbox: SandboxProcess, published: Published) -> None:
    payment = paid_payment(amount=1000)

    def ask() -> Any:
        return services.request_refund(
            payment_id=payment.id, refund_id=uuid7(), amount=usd(300), reason="race"
        )

    results = at_once(*[ask] * 8)
    assert Counter(type(result) for result in results) == {tuple: 3, RefundExceedsPayment: 5}
    at_once(*[tasks.send_due_refunds] * 3)
    payment.refresh_from_db()
    assert (payment.refunded_amount, payment.refunding_amount) == (900, 0)
    assert sandbox.intent(payment.provider_reference)["amount_refunded"] == 900
    assert set(Refund.objects.values_list("status", flat=True)) == {RefundStatus.SUCCEEDED}
    assert len(published(PaymentRefunded)) == 3
    balance = LedgerEntry.objects.filter(account="provider.sandbox").aggregate(sum=Sum("entry_amount"))["sum"]
    assert balance == 100


def test_one_refund_asked_for_at_once_is_one_refund(sandbox: SandboxProcess) -> None:
    payment = paid_payment(amount=1000)
    refund_id = uuid7()
    results = at_once(
        *[
            lambda: services.request_refund(
                payment_id=payment.id, refund_id=refund_id, amount=usd(600), reason=""
            )
        ]
        * 5
    )
    assert sorted(created for _, created in results) == [False] * 4 + [True]
    at_once(*[lambda: tasks.send_refund(str(refund_id))] * 3, tasks.send_due_refunds)
    assert sandbox.intent(payment.provider_reference)["amount_refunded"] == 600
    payment.refresh_from_db()
    assert payment.refunded_amount == 600


def test_answer_webhook_and_question_at_once_book_once(provider: Any, published: Published) -> None:
    payment = new_payment()

    def everybody_else() -> None:
        attempt = PaymentAttempt.objects.select_related("payment").get()
        at_once(*[lambda: services.reconcile_attempt(attempt=attempt)] * 4)

    provider.after["confirm_intent"] = everybody_else
    assert confirm(payment).status == PaymentStatus.SUCCEEDED
    assert len(published(PaymentSucceeded)) == LedgerTransaction.objects.count() == 1
