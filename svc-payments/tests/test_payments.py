"""Create, confirm, cancel: services/payments.py against the real sandbox."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from payments import services
from payments.exceptions import CardDeclined, OrderHasPayment, PaymentIdReused, PaymentNotConfirmable
from payments.models import AttemptState, LedgerEntry, Payment, PaymentAttempt, PaymentStatus
from payments.providers import OutcomeUnknown, ProviderUnavailable
from shared_lib.contracts.events import (
    PaymentActionRequired,
    PaymentAttemptFailed,
    PaymentCanceled,
    PaymentProcessing,
    PaymentSucceeded,
)
from shared_lib.exceptions import InvalidValue, NotFound, ServiceUnavailable
from shared_lib.ids import uuid7
from shared_lib.money import Money
from tests.factories import confirm, held, new_payment, offered, paid_payment, raising, usd
from tests.sandbox_process import SandboxProcess

pytestmark = [pytest.mark.django_db, pytest.mark.both_providers]

Published = Callable[[type], list[Any]]


def test_a_payment_is_made_once_for_one_id() -> None:
    first = new_payment()
    same: dict[str, Any] = {
        "payment_id": first.id,
        "order_id": first.order_id,
        "user_id": first.user_id,
        "amount": usd(1999),
    }
    second, created = services.create_payment(**same)
    assert (second.pk, created) == (first.pk, False)
    assert second.status == PaymentStatus.REQUIRES_PAYMENT_METHOD
    assert second.provider == offered()


@pytest.mark.parametrize("change", [{"amount": usd(2000)}, {"order_id": uuid7()}, {"user_id": uuid7()}])
def test_an_id_cannot_name_two_different_payments(change: dict[str, Any]) -> None:
    first = new_payment()
    same: dict[str, Any] = {
        "payment_id": first.id,
        "order_id": first.order_id,
        "user_id": first.user_id,
        "amount": usd(1999),
    }
    with pytest.raises(PaymentIdReused):
        services.create_payment(**{**same, **change})


@pytest.mark.parametrize("amount", [usd(-1), usd(10**12), Money(100, "EUR")])
def test_an_amount_that_cannot_be_paid_is_refused(amount: Money) -> None:
    with pytest.raises(InvalidValue):
        services.create_payment(payment_id=uuid7(), order_id=uuid7(), user_id=uuid7(), amount=amount)
    assert not Payment.objects.exists()


def test_an_order_has_one_payment_that_is_not_canceled() -> None:
    first = new_payment()
    with pytest.raises(OrderHasPayment):
        new_payment(order_id=first.order_id)
    services.cancel_payment(payment_id=first.id)
    assert new_payment(order_id=first.order_id).is_open


def test_a_provider_that_the_shop_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidValue):
        new_payment(provider="paypal")


def test_a_good_card_pays(sandbox: SandboxProcess, published: Published) -> None:
    payment = confirm(new_payment())
    assert payment.status == PaymentStatus.SUCCEEDED
    assert sandbox.intent(payment.provider_reference)["amount_received"] == 1999
    [event] = published(PaymentSucceeded)
    assert event == PaymentSucceeded(
        version=2,
        payment_id=payment.id,
        order_id=payment.order_id,
        user_id=payment.user_id,
        amount=usd(1999),
        provider=offered(),
        provider_reference=payment.provider_reference,
    )
    entries = LedgerEntry.objects.values_list("account_id", "entry_amount", "currency").order_by("account_id")
    assert list(entries) == [("customers", -1999, "USD"), (held(), 1999, "USD")]
    assert PaymentAttempt.objects.get().state == AttemptState.SUCCEEDED
    assert PaymentAttempt.objects.get().due_at is None


def test_a_declined_card_leaves_the_payment_payable(published: Published) -> None:
    payment = new_payment()
    with pytest.raises(CardDeclined) as declined:
        confirm(payment, "pm_card_chargeDeclined")
    assert declined.value.extra == {"failure_code": "card_declined"}
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.REQUIRES_PAYMENT_METHOD
    [event] = published(PaymentAttemptFailed)
    assert (event.failure_code, event.version) == ("card_declined", 2)
    assert not LedgerEntry.objects.exists()

    assert confirm(payment).status == PaymentStatus.SUCCEEDED
    assert published(PaymentSucceeded)[0].version == 3


def test_three_d_secure_asks_for_an_action_first(sandbox: SandboxProcess, published: Published) -> None:
    payment = confirm(
        new_payment(), "pm_card_authenticationRequired", return_url="http://storefront.test/back?order=1"
    )
    assert payment.status == PaymentStatus.REQUIRES_ACTION
    assert payment.action_url.startswith("http://shop.test/dev/payments/3ds/")
    assert not published(PaymentSucceeded)
    [event] = published(PaymentActionRequired)
    assert (event.payment_id, event.order_id, event.version) == (payment.id, payment.order_id, 2)
    services.reconcile_attempt(attempt=PaymentAttempt.objects.get())
    assert len(published(PaymentActionRequired)) == 1, "what is known already is not told again"

    answer = sandbox.answer_challenge(payment.action_url, "authorise")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("http://storefront.test/back?order=1&payment_intent=pi_")
    assert answer.headers["location"].endswith("&redirect_status=succeeded")
    assert sandbox.intent(payment.provider_reference)["status"] == "succeeded"


def test_another_card_may_be_used_instead_of_three_d_secure(sandbox: SandboxProcess) -> None:
    payment = confirm(new_payment(), "pm_card_authenticationRequired")
    page = payment.action_url
    payment = confirm(payment, "pm_card_visa")
    assert (payment.status, payment.action_url) == (PaymentStatus.SUCCEEDED, "")
    states = PaymentAttempt.objects.order_by("created_at").values_list("state", flat=True)
    assert list(states) == [AttemptState.CANCELED, AttemptState.SUCCEEDED]
    sandbox.answer_challenge(page, "fail")
    assert sandbox.intent(payment.provider_reference)["status"] == "succeeded"


def test_a_slow_payment_is_processing_and_cannot_be_confirmed_again(published: Published) -> None:
    payment = confirm(new_payment(), "pm_card_delayed")
    assert payment.status == PaymentStatus.PROCESSING
    assert len(published(PaymentProcessing)) == 1
    with pytest.raises(PaymentNotConfirmable):
        confirm(payment)


def test_a_final_payment_cannot_be_confirmed() -> None:
    with pytest.raises(PaymentNotConfirmable):
        confirm(paid_payment())
    canceled = services.cancel_payment(payment_id=new_payment().id)
    with pytest.raises(PaymentNotConfirmable):
        confirm(canceled)


def test_nobody_confirms_another_persons_payment() -> None:
    payment = new_payment()
    with pytest.raises(NotFound):
        services.confirm_payment(user_id=uuid7(), payment_id=payment.id, payment_method="pm_card_visa")
    assert not PaymentAttempt.objects.exists()


def test_a_token_that_the_provider_does_not_know_is_the_clients_mistake(published: Published) -> None:
    payment = new_payment()
    with pytest.raises(InvalidValue) as refused:
        confirm(payment, "pm_card_unheard_of")
    assert refused.value.extra["errors"][0]["field"] == "payment_method"
    assert not published(PaymentAttemptFailed)
    assert confirm(payment).status == PaymentStatus.SUCCEEDED


def test_a_provider_that_is_away_leaves_the_payment_as_it_was(provider: Any, published: Published) -> None:
    payment = new_payment()
    provider.before["create_intent"] = raising(ProviderUnavailable("refused"))
    with pytest.raises(ServiceUnavailable):
        confirm(payment)
    payment.refresh_from_db()
    assert (payment.status, payment.version) == (PaymentStatus.REQUIRES_PAYMENT_METHOD, 1)
    assert PaymentAttempt.objects.get().state == AttemptState.FAILED
    assert confirm(payment).status == PaymentStatus.SUCCEEDED


def test_a_provider_that_is_away_keeps_the_action_of_the_attempt_before(provider: Any) -> None:
    payment = confirm(new_payment(), "pm_card_authenticationRequired")
    provider.before["confirm_intent"] = raising(ProviderUnavailable("refused"))
    with pytest.raises(ServiceUnavailable):
        confirm(payment)
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.REQUIRES_ACTION
    open_attempt = PaymentAttempt.objects.get(state=AttemptState.REQUIRES_ACTION)
    assert open_attempt.due_at is not None


def test_an_unknown_outcome_is_processing_and_asked_for(provider: Any, published: Published) -> None:
    provider.after["confirm_intent"] = raising(OutcomeUnknown("timed out"))
    payment = confirm(new_payment())
    assert payment.status == PaymentStatus.PROCESSING
    assert len(published(PaymentProcessing)) == 1
    attempt = PaymentAttempt.objects.get()
    assert attempt.due_at is not None

    services.reconcile_attempt(attempt=attempt)
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.SUCCEEDED
    assert len(published(PaymentSucceeded)) == 1


def test_a_payment_that_nobody_tried_is_canceled_without_the_provider(
    provider: Any, published: Published
) -> None:
    payment = services.cancel_payment(payment_id=new_payment().id)
    assert payment.status == PaymentStatus.CANCELED
    assert provider.calls == []
    assert published(PaymentCanceled)[0].version == 2
    assert services.cancel_payment(payment_id=payment.id).version == 2
    assert len(published(PaymentCanceled)) == 1


@pytest.mark.parametrize("token", ["pm_card_chargeDeclined", "pm_card_authenticationRequired"])
def test_a_payment_that_was_tried_is_canceled_at_the_provider(sandbox: SandboxProcess, token: str) -> None:
    payment = new_payment()
    with contextlib.suppress(CardDeclined):
        confirm(payment, token)
    payment = services.cancel_payment(payment_id=payment.id)
    assert payment.status == PaymentStatus.CANCELED
    assert payment.action_url == ""
    assert sandbox.intent(payment.provider_reference)["status"] == "canceled"
    assert not PaymentAttempt.objects.filter(due_at__isnull=False).exists()


def test_a_paid_payment_answers_a_cancellation_with_succeeded(published: Published) -> None:
    payment = paid_payment()
    assert services.cancel_payment(payment_id=payment.id).status == PaymentStatus.SUCCEEDED
    assert not published(PaymentCanceled)


def test_a_processing_payment_answers_a_cancellation_with_processing() -> None:
    payment = confirm(new_payment(), "pm_card_delayed")
    assert services.cancel_payment(payment_id=payment.id).status == PaymentStatus.PROCESSING


def test_a_cancellation_waits_for_a_provider_that_is_away(provider: Any) -> None:
    payment = confirm(new_payment(), "pm_card_authenticationRequired")
    provider.before["cancel_intent"] = raising(OutcomeUnknown("timed out"))
    with pytest.raises(ServiceUnavailable):
        services.cancel_payment(payment_id=payment.id)
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.REQUIRES_ACTION
    assert services.cancel_payment(payment_id=payment.id).status == PaymentStatus.CANCELED


def test_a_cancellation_that_comes_before_the_payment_keeps_it_from_being_paid() -> None:
    payment_id = uuid7()
    for _ in range(2):
        with pytest.raises(NotFound):
            services.cancel_payment(payment_id=payment_id)
    late = new_payment(payment_id=payment_id)
    assert late.status == PaymentStatus.CANCELED
    with pytest.raises(PaymentNotConfirmable):
        confirm(late)
    assert services.cancel_payment(payment_id=payment_id).status == PaymentStatus.CANCELED
