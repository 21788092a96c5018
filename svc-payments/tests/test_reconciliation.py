"""Attempts whose outcome did not come by itself, and the sweeps that find them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from payments import providers, services, tasks
from payments.models import AttemptState, Payment, PaymentAttempt, PaymentStatus, WebhookEvent
from payments.providers import OutcomeUnknown
from payments.services import payments as payment_services
from shared_lib.contracts.events import PaymentAttemptFailed, PaymentSucceeded
from shared_lib.exceptions import ServiceUnavailable
from tests.factories import confirm, new_payment, raising
from tests.sandbox_process import SETTLE_SECONDS, SandboxProcess, wait_for

pytestmark = pytest.mark.django_db

Published = Callable[[type], list[Any]]


class Killed(BaseException):
    """Ends a confirmation as kill -9 would: nothing that follows runs."""


def make_due() -> None:
    PaymentAttempt.objects.filter(due_at__isnull=False).update(due_at=timezone.now() - timedelta(seconds=1))


def killed_after(provider: Any, call: str) -> Payment:
    payment = new_payment()
    provider.after[call] = raising(Killed())  # type: ignore[arg-type]
    with pytest.raises(Killed):
        confirm(payment)
    return payment


def test_a_process_that_died_before_anything_was_charged_leaves_the_payment_payable(
    provider: Any, published: Published
) -> None:
    payment = killed_after(provider, "create_intent")
    tasks.reconcile_open_attempts()
    assert PaymentAttempt.objects.get().state == AttemptState.RUNNING, "its process may still be alive"

    make_due()
    tasks.reconcile_open_attempts()
    assert PaymentAttempt.objects.get().state == AttemptState.FAILED
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.REQUIRES_PAYMENT_METHOD
    assert confirm(payment).status == PaymentStatus.SUCCEEDED


def test_a_process_that_died_after_the_charge_loses_no_money(provider: Any, published: Published) -> None:
    payment = killed_after(provider, "confirm_intent")
    make_due()
    tasks.reconcile_open_attempts()
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.SUCCEEDED
    assert len(published(PaymentSucceeded)) == 1
    assert PaymentAttempt.objects.get().due_at is None


def test_a_claim_outlives_the_longest_confirmation() -> None:
    longest = 4 * 3.0  # create and confirm, each sent twice, at the time-out that the tests have
    assert payment_services._longest_confirmation() > timedelta(seconds=longest)


def test_a_charge_that_never_arrived_leaves_the_payment_payable(
    provider: Any, sandbox: SandboxProcess, published: Published
) -> None:
    payment = new_payment()
    provider.before["confirm_intent"] = raising(OutcomeUnknown("cut"))
    assert confirm(payment).status == PaymentStatus.PROCESSING
    make_due()
    tasks.reconcile_open_attempts()
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.REQUIRES_PAYMENT_METHOD
    assert [event.failure_code for event in published(PaymentAttemptFailed)] == ["outcome_unknown"]
    assert confirm(payment).status == PaymentStatus.SUCCEEDED


def test_a_lost_webhook_is_made_up_for(sandbox: SandboxProcess, published: Published) -> None:
    payment = confirm(new_payment(), "pm_card_delayed")
    wait_for(
        lambda: sandbox.intent(payment.provider_reference)["status"] == "succeeded",
        seconds=SETTLE_SECONDS + 5,
    )
    make_due()
    tasks.reconcile_open_attempts()
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.SUCCEEDED


def test_asking_about_what_has_not_changed_changes_nothing_and_waits_longer() -> None:
    payment = confirm(new_payment(), "pm_card_authenticationRequired")
    make_due()
    tasks.reconcile_open_attempts()
    before = payment.version
    payment.refresh_from_db()
    assert (payment.version, payment.status) == (before, PaymentStatus.REQUIRES_ACTION)
    attempt = PaymentAttempt.objects.get()
    assert attempt.attempts == 1
    assert attempt.due_at is not None
    assert attempt.due_at > timezone.now()


def test_one_question_that_fails_stops_no_other(provider: Any) -> None:
    payments = [confirm(new_payment(), "pm_card_authenticationRequired") for _ in range(3)]
    for payment in payments:
        services.cancel_payment(payment_id=payment.id)
        Payment.objects.filter(pk=payment.pk).update(status="requires_payment_method")
        PaymentAttempt.objects.filter(payment=payment).update(
            state=AttemptState.PROCESSING, due_at=timezone.now() - timedelta(seconds=1)
        )
    provider.before["get_intent"] = raising(OutcomeUnknown("cut"))
    tasks.reconcile_open_attempts()
    statuses = Payment.objects.values_list("status", flat=True)
    assert sorted(statuses) == ["canceled", "canceled", "requires_payment_method"]
    assert PaymentAttempt.objects.filter(due_at__gt=timezone.now()).count() == 1


def test_a_running_confirmation_is_not_disturbed_by_a_question(provider: Any) -> None:
    payment = new_payment()
    provider.before["confirm_intent"] = tasks.reconcile_open_attempts
    assert confirm(payment).status == PaymentStatus.SUCCEEDED
    assert "get_intent" not in provider.calls


def test_a_provider_that_is_no_longer_offered_is_a_clear_503(settings: Any, monkeypatch: Any) -> None:
    payment = confirm(new_payment(), "pm_card_authenticationRequired")
    settings.PAYMENT_PROVIDERS = []
    monkeypatch.setattr(providers, "get_provider", providers.get_provider.__wrapped__)
    with pytest.raises(ServiceUnavailable):
        confirm(payment)
    with pytest.raises(ServiceUnavailable):
        services.cancel_payment(payment_id=payment.id)
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.REQUIRES_ACTION


def test_old_settled_webhook_events_are_forgotten(settings: Any) -> None:
    settings.PAYMENT_WEBHOOK_RETENTION_DAYS = 30
    now = timezone.now()
    for number, settled in enumerate((now - timedelta(days=31), now - timedelta(days=29), None)):
        WebhookEvent.objects.create(
            provider="sandbox", event_id=f"evt_{number}", type="x", payload={}, settled_at=settled
        )
    tasks.delete_settled_webhook_events()
    assert sorted(WebhookEvent.objects.values_list("event_id", flat=True)) == ["evt_1", "evt_2"]
