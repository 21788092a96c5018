"""Webhooks of the real sandbox, as they come and as they should not."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from payments import services, tasks
from payments.models import AttemptState, Payment, PaymentAttempt, PaymentStatus, WebhookEvent
from sandbox.webhooks import signature
from shared_lib.contracts.events import PaymentAttemptFailed, PaymentSucceeded
from shared_lib.ids import uuid7
from tests.factories import confirm, new_payment, paid_payment
from tests.sandbox_process import WEBHOOK_SECRET, Receiver, SandboxProcess, wait_for

pytestmark = pytest.mark.django_db

URL = "/api/v1/payments/webhooks/sandbox"
Published = Callable[[type], list[Any]]


@pytest.fixture
def post(api: Any) -> Callable[..., Any]:
    """Delivers a webhook to the service as its provider would."""

    def deliver(body: bytes, header: str, url: str = URL) -> Any:
        return api.anonymous().post(
            url, data=body, content_type="application/json", HTTP_SANDBOX_SIGNATURE=header
        )

    return deliver


@pytest.fixture
def pass_on(post: Callable[..., Any], receiver: Receiver, sandbox: SandboxProcess) -> Callable[..., Any]:
    """Passes a webhook of the real sandbox on to the service, once it has come."""

    def deliver(reference: str, kind: str) -> Any:
        headers, body = receiver.wait_for(reference, kind)
        return post(body, headers["sandbox-signature"])

    return deliver


def signed(body: bytes, *, secret: str = WEBHOOK_SECRET, age: int = 0) -> str:
    return signature(secret, int(time.time()) - age, body)


def an_event(payment: Payment, status: str = "succeeded", **values: Any) -> bytes:
    snapshot = {
        "id": payment.provider_reference,
        "object": "payment_intent",
        "amount": payment.payment_amount,
        "currency": payment.currency,
        "status": status,
        **values,
    }
    return orjson.dumps(
        {"id": f"evt_{uuid7().hex}", "type": f"payment_intent.{status}", "data": {"object": snapshot}}
    )


def work() -> None:
    tasks.process_due_webhook_events()


def test_a_slow_payment_succeeds_by_webhook(
    pass_on: Callable[..., Any], sandbox: SandboxProcess, published: Published
) -> None:
    payment = confirm(new_payment(), "pm_card_delayed")
    answer = pass_on(payment.provider_reference, "succeeded")
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.PROCESSING, "the answer does not wait for the effect"

    work()
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.SUCCEEDED
    assert len(published(PaymentSucceeded)) == 1
    event = WebhookEvent.objects.get()
    assert (event.outcome, event.due_at) == ("applied", None)


def test_three_d_secure_ends_by_webhook(
    pass_on: Callable[..., Any], sandbox: SandboxProcess, published: Published
) -> None:
    payment = confirm(new_payment(), "pm_card_authenticationRequired")
    sandbox.answer_challenge(payment.action_url, "authorise")
    pass_on(payment.provider_reference, "succeeded")
    work()
    payment.refresh_from_db()
    assert (payment.status, payment.action_url) == (PaymentStatus.SUCCEEDED, "")


def test_a_refused_three_d_secure_leaves_the_payment_payable(
    pass_on: Callable[..., Any], sandbox: SandboxProcess, published: Published
) -> None:
    payment = confirm(new_payment(), "pm_card_authenticationRequired")
    sandbox.answer_challenge(payment.action_url, "fail")
    pass_on(payment.provider_reference, "payment_failed")
    work()
    payment.refresh_from_db()
    assert (payment.status, payment.action_url) == (PaymentStatus.REQUIRES_PAYMENT_METHOD, "")
    assert [event.failure_code for event in published(PaymentAttemptFailed)] == ["authentication_failed"]
    assert PaymentAttempt.objects.get().state == AttemptState.FAILED
    assert confirm(payment).status == PaymentStatus.SUCCEEDED


def test_a_webhook_that_comes_twice_counts_once(
    pass_on: Callable[..., Any], published: Published, hints: list[Any]
) -> None:
    payment = confirm(new_payment(), "pm_card_delayed")
    for _ in range(3):
        assert pass_on(payment.provider_reference, "succeeded").status_code == 200
    work()
    work()
    assert WebhookEvent.objects.count() == 1
    assert len(published(PaymentSucceeded)) == 1


def test_webhooks_in_the_wrong_order_end_in_the_right_state(
    pass_on: Callable[..., Any], sandbox: SandboxProcess, published: Published
) -> None:
    payment = confirm(new_payment(), "pm_card_authenticationRequired")
    sandbox.answer_challenge(payment.action_url, "fail")
    services.reconcile_attempt(attempt=PaymentAttempt.objects.get())
    payment = confirm(payment, "pm_card_authenticationRequired")
    sandbox.answer_challenge(payment.action_url, "authorise")
    for kind in ("succeeded", "payment_failed", "requires_action"):
        pass_on(payment.provider_reference, kind)
        work()
        payment.refresh_from_db()
        assert payment.status == PaymentStatus.SUCCEEDED
    assert len(published(PaymentSucceeded)) == 1


def test_an_old_failure_does_not_touch_a_newer_attempt(
    pass_on: Callable[..., Any], sandbox: SandboxProcess
) -> None:
    payment = confirm(new_payment(), "pm_card_authenticationRequired")
    sandbox.answer_challenge(payment.action_url, "fail")
    services.reconcile_attempt(attempt=PaymentAttempt.objects.get())
    payment = confirm(payment, "pm_card_authenticationRequired")
    pass_on(payment.provider_reference, "payment_failed")
    work()
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.REQUIRES_ACTION


def test_what_the_answer_said_already_needs_no_job(
    pass_on: Callable[..., Any], hints: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    payment = paid_payment()
    with django_capture_on_commit_callbacks(execute=True):
        assert pass_on(payment.provider_reference, "succeeded").status_code == 200
    event = WebhookEvent.objects.get()
    assert (event.outcome, event.due_at) == ("known already", None)
    assert hints == []


def test_a_webhook_that_matters_sends_a_hint(
    pass_on: Callable[..., Any], hints: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    payment = confirm(new_payment(), "pm_card_delayed")
    with django_capture_on_commit_callbacks(execute=True):
        pass_on(payment.provider_reference, "succeeded")
    event = WebhookEvent.objects.get()
    assert hints == [("payments.tasks.process_webhook_event", (str(event.id),))]
    tasks.process_webhook_event(str(event.id))
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.SUCCEEDED


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        "t=,v1=",
        "t=1700000000",
        "v1=abc",
        "t=abc,v1=abc",
        "t=99999999999999999999,v1=abc",
        "t=1700000000,v1=ä",
    ],
)
def test_a_webhook_without_a_usable_signature_is_refused(post: Callable[..., Any], header: str) -> None:
    payment = confirm(new_payment(), "pm_card_delayed")
    answer = post(an_event(payment), header)
    assert (answer.status_code, answer.json()["code"]) == (400, "webhook_refused")
    assert answer["Content-Type"] == "application/problem+json"
    assert not WebhookEvent.objects.exists()


def test_a_forged_webhook_is_refused(post: Callable[..., Any]) -> None:
    body = an_event(confirm(new_payment(), "pm_card_delayed"))
    assert post(body, signed(body, secret="another secret")).status_code == 400
    assert post(body.replace(b"succeeded", b"canceled"), signed(body)).status_code == 400
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize("age", [301, -301])
def test_a_webhook_of_another_time_is_refused(post: Callable[..., Any], age: int) -> None:
    body = an_event(confirm(new_payment(), "pm_card_delayed"))
    assert post(body, signed(body, age=age)).status_code == 400
    assert post(body, signed(body, age=290)).status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"no json", b'{"id": 1, "type": "x"}', b'{"id":"e","type":"\\u0000"}']
)
def test_a_signed_body_that_is_no_event_is_refused(post: Callable[..., Any], body: bytes) -> None:
    assert post(body, signed(body)).status_code == 400


def test_one_of_several_signatures_is_enough(post: Callable[..., Any]) -> None:
    body = an_event(confirm(new_payment(), "pm_card_delayed"))
    moment, good = signed(body).split(",")
    assert post(body, f"{moment},v1={'0' * 64},{good}").status_code == 200


def test_a_webhook_of_an_unknown_payment_is_taken_and_changes_nothing(post: Callable[..., Any]) -> None:
    payment = confirm(new_payment(), "pm_card_delayed")
    body = an_event(payment, id="pi_of_somebody_else")
    assert post(body, signed(body)).status_code == 200
    work()
    assert WebhookEvent.objects.get().outcome == "unknown payment"
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.PROCESSING


def test_a_webhook_about_something_else_is_taken_and_changes_nothing(post: Callable[..., Any]) -> None:
    body = orjson.dumps({"id": "evt_payout", "type": "payout.paid", "data": {"object": {"object": "payout"}}})
    assert post(body, signed(body)).status_code == 200
    event = WebhookEvent.objects.get()
    assert event.due_at is None


def test_a_webhook_with_another_amount_books_nothing_and_stays_due(post: Callable[..., Any]) -> None:
    payment = confirm(new_payment(), "pm_card_delayed")
    body = an_event(payment, amount=1)
    assert post(body, signed(body)).status_code == 200
    work()
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.PROCESSING
    event = WebhookEvent.objects.get()
    assert event.due_at is not None
    assert event.outcome.startswith("ProviderMismatch")


def test_an_unknown_provider_has_no_webhooks(post: Callable[..., Any]) -> None:
    body = b"{}"
    assert post(body, signed(body), url="/api/v1/payments/webhooks/paypal").status_code == 404


def test_a_success_after_a_cancellation_is_believed_and_told(
    post: Callable[..., Any], published: Published
) -> None:
    """No provider should do this; if one does, the money is booked and orders hears of it."""
    payment = confirm(new_payment(), "pm_card_authenticationRequired")
    payment = services.cancel_payment(payment_id=payment.id)
    body = an_event(payment)
    post(body, signed(body))
    work()
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.SUCCEEDED
    assert len(published(PaymentSucceeded)) == 1


def test_what_the_provider_said_before_a_new_attempt_does_not_count_against_it(
    provider: Any, pass_on: Callable[..., Any], sandbox: SandboxProcess, published: Published
) -> None:
    payment = confirm(new_payment(), "pm_card_authenticationRequired")
    sandbox.answer_challenge(payment.action_url, "fail")
    pass_on(payment.provider_reference, "payment_failed")
    provider.after["get_intent"] = lambda: confirm(payment, "pm_card_authenticationRequired")
    work()
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.REQUIRES_ACTION
    assert PaymentAttempt.objects.filter(state=AttemptState.REQUIRES_ACTION).count() == 1
    assert not published(PaymentAttemptFailed)


def test_an_old_failure_does_not_disturb_a_confirmation_that_is_running(
    provider: Any, pass_on: Callable[..., Any], sandbox: SandboxProcess, published: Published
) -> None:
    payment = confirm(new_payment(), "pm_card_authenticationRequired")
    sandbox.answer_challenge(payment.action_url, "fail")
    pass_on(payment.provider_reference, "payment_failed")
    provider.before["confirm_intent"] = work
    assert confirm(payment).status == PaymentStatus.SUCCEEDED
    assert WebhookEvent.objects.get().outcome == "known already"
    assert "get_intent" not in provider.calls
    assert not published(PaymentAttemptFailed)


def test_what_the_sandbox_spoils_on_request_is_refused_and_the_good_one_after_it_taken(
    post: Callable[..., Any], sandbox: SandboxProcess, receiver: Receiver
) -> None:
    for fault in ("bad_signature", "stale"):
        sandbox.http.post("/control/faults", json={fault: 1.0})
        try:
            payment = paid_payment()
            wait_for(lambda reference=payment.provider_reference: len(receiver.of(reference)) == 2)  # type: ignore[misc]
        finally:
            sandbox.http.delete("/control/faults")
        came = receiver.of(payment.provider_reference)
        assert [post(body, headers["sandbox-signature"]).status_code for headers, body in came] == [400, 200]
