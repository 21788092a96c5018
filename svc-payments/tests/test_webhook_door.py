"""What comes to the door of webhooks and should not: the right answer, and nothing has changed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
import stripe

from payments import services, tasks
from payments.models import (
    Dispute,
    LedgerEntry,
    Payment,
    PaymentAttempt,
    PaymentStatus,
    Refund,
    WebhookEvent,
)
from sandbox.webhooks import signature
from shared_lib.ids import uuid7
from shared_lib.outbox.models import OutboxEvent
from tests import stripe_dialect
from tests.factories import confirm, new_payment, offered, paid_payment, usd
from tests.sandbox_process import WEBHOOK_SECRET, SandboxProcess

pytestmark = [pytest.mark.django_db, pytest.mark.both_providers]

Door = Callable[..., Any]


@pytest.fixture
def door(api: Any) -> Door:
    """Posts a body to the door of the provider at hand; signed as that provider signs, unless told otherwise."""

    def post(
        body: bytes, *, header: str | None = None, secret: str = "", age: float = 0.0, to: str = ""
    ) -> Any:
        name = to or offered()
        if header is None:
            header = sign(body, secret=secret, age=age)
        headers = (
            {f"HTTP_{'STRIPE' if offered() == 'stripe' else 'SANDBOX'}_SIGNATURE": header} if header else {}
        )
        return api.anonymous().post(
            f"/api/v1/payments/webhooks/{name}", data=body, content_type="application/json", **headers
        )

    return post


def sign(body: bytes, *, secret: str = "", age: float = 0.0) -> str:
    moment = int(time.time() - age)
    if offered() == "sandbox":
        return signature(secret or WEBHOOK_SECRET, moment, body)
    text = body.decode("utf-8", "replace")
    return str(
        stripe.WebhookSignature.generate_signature_header(
            text, secret or stripe_dialect.WEBHOOK_SECRET, moment
        )
    )


def event(payment: Payment, **values: Any) -> bytes:
    currency = payment.currency.lower() if offered() == "stripe" else payment.currency
    snapshot = {
        "id": payment.provider_reference,
        "object": "payment_intent",
        "amount": payment.payment_amount,
        "amount_received": values.get("amount", payment.payment_amount),
        "currency": currency,
        "status": "succeeded",
        **values,
    }
    return orjson.dumps(
        {"id": f"evt_{uuid7().hex}", "type": "payment_intent.succeeded", "data": {"object": snapshot}}
    )


def everything() -> list[Any]:
    """All that a webhook may change."""
    return [
        list(model._default_manager.order_by("pk").values())
        for model in (Payment, PaymentAttempt, Refund, Dispute, LedgerEntry, OutboxEvent)
    ]


@pytest.fixture
def waiting() -> Payment:
    """A payment that a good webhook would pay."""
    return confirm(new_payment(), "pm_card_authenticationRequired")


def test_the_good_one_is_taken_and_works(door: Door, waiting: Payment) -> None:
    assert door(event(waiting)).status_code == 200
    tasks.process_due_webhook_events()
    waiting.refresh_from_db()
    assert waiting.status == PaymentStatus.SUCCEEDED


@pytest.mark.parametrize(
    "values",
    [
        {"header": ""},
        {"header": "nonsense"},
        {"header": "t=1700000000,v1=\u00e4"},
        {"header": "t=99999999999999999999,v1=00"},
        {"secret": "another secret"},
        {"age": 301},
        {"age": -310},
        {"age": 10**9},
    ],
    ids=str,
)
def test_what_the_provider_did_not_sign_just_now_is_refused(
    door: Door, waiting: Payment, values: dict[str, Any]
) -> None:
    before = everything()
    answer = door(event(waiting), **values)
    assert (answer.status_code, answer.json()["code"]) == (400, "webhook_refused")
    assert answer["Content-Type"] == "application/problem+json"
    assert not WebhookEvent.objects.exists()
    tasks.process_due_webhook_events()
    assert everything() == before


def test_a_body_that_was_changed_on_the_way_is_refused(door: Door, waiting: Payment) -> None:
    body = event(waiting)
    before = everything()
    header = sign(body)
    for changed in (body.replace(b"1999", b"1998"), body + b" ", body[:-1]):
        assert door(changed, header=header).status_code == 400
    assert not WebhookEvent.objects.exists()
    assert everything() == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"no json",
        b'{"id": 1, "type": "x"}',
        b'{"id": "", "type": "x"}',
        b'{"id": "' + b"e" * 256 + b'", "type": "x"}',
        b'{"id": "e", "type": "\\u0000"}',
        b'{"id": "e", "type": "x", "data": ' + b"[" * 100_000,
        b"\xff\xfe",
        b"\x1f\x8b\x08",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_garbage_is_refused_even_with_a_good_signature(door: Door, body: bytes) -> None:
    before = everything()
    assert door(body).status_code == 400
    assert not WebhookEvent.objects.exists()
    assert everything() == before


def test_a_huge_body_is_refused_unread(door: Door, waiting: Payment) -> None:
    before = everything()
    answer = door(event(waiting, padding="x" * 1_200_000))
    assert (answer.status_code, answer["Content-Type"]) == (413, "application/problem+json")
    assert not WebhookEvent.objects.exists()
    assert everything() == before


def test_a_replay_is_taken_and_changes_nothing(door: Door, waiting: Payment) -> None:
    body = event(waiting)
    header = sign(body)
    assert door(body, header=header).status_code == 200
    tasks.process_due_webhook_events()
    after = everything()
    for _ in range(3):
        assert door(body, header=header).json() == {"received": True}
        assert door(body).json() == {"received": True}
        tasks.process_due_webhook_events()
    assert everything() == after
    assert WebhookEvent.objects.count() == 1


def test_an_unknown_payment_is_taken_and_changes_nothing(door: Door, waiting: Payment) -> None:
    before = everything()
    assert door(event(waiting, id="pi_of_nobody")).status_code == 200
    tasks.process_due_webhook_events()
    assert everything() == before
    assert WebhookEvent.objects.get().outcome == "unknown payment"


@pytest.mark.parametrize(
    "values", [{"amount": 1}, {"amount": 2000}, {"currency": "EUR"}, {"currency": "eur"}]
)
def test_another_amount_or_currency_books_nothing_and_is_not_forgotten(
    door: Door, waiting: Payment, values: dict[str, Any]
) -> None:
    before = everything()
    assert door(event(waiting, **values)).status_code == 200
    tasks.process_due_webhook_events()
    assert everything() == before
    stored = WebhookEvent.objects.get()
    assert stored.due_at is not None
    assert stored.outcome.startswith("ProviderMismatch")


@pytest.mark.parametrize(
    "data",
    [None, [], {}, {"object": None}, {"object": []}, {"object": {"object": "payment_intent"}}],
    ids=repr,
)
def test_an_event_that_makes_no_sense_is_kept_and_changes_nothing(
    door: Door, waiting: Payment, data: Any
) -> None:
    before = everything()
    body = orjson.dumps({"id": "evt_odd", "type": "payment_intent.succeeded", "data": data})
    assert door(body).status_code == 200
    tasks.process_due_webhook_events()
    assert everything() == before
    stored = WebhookEvent.objects.get()
    assert (stored.outcome.startswith("UnreadableEvent"), stored.due_at is not None) in (
        (True, True),
        (False, False),
    )


def test_a_type_of_state_that_is_unheard_of_is_kept_and_changes_nothing(door: Door, waiting: Payment) -> None:
    before = everything()
    assert door(event(waiting, status="teleported")).status_code == 200
    tasks.process_due_webhook_events()
    assert everything() == before
    assert WebhookEvent.objects.get().outcome.startswith("UnreadableEvent")


def test_a_webhook_at_the_wrong_door_is_refused(door: Door, waiting: Payment) -> None:
    before = everything()
    other = "sandbox" if offered() == "stripe" else "stripe"
    assert door(event(waiting), to=other).status_code == 400
    for name in ("paypal", "SANDBOX"):
        assert door(event(waiting), to=name).status_code == 404
    assert everything() == before


def test_a_refund_of_another_payment_is_not_taken_for_ours(door: Door, sandbox: SandboxProcess) -> None:
    """Its id is ours, its payment is not: whoever made that up, it ends nothing here."""
    payment, other = paid_payment(), paid_payment()
    refund, _ = services.request_refund(payment_id=payment.id, refund_id=uuid7(), amount=usd(5), reason="")
    before = everything()
    snapshot = {
        "id": "re_1",
        "object": "refund",
        "payment_intent": other.provider_reference,
        "status": "succeeded",
        "amount": 5,
        "currency": "usd" if offered() == "stripe" else "USD",
        "metadata": {"refund_id": str(refund.id)},
    }
    body = orjson.dumps({"id": "evt_re", "type": "refund.updated", "data": {"object": snapshot}})
    assert door(body).status_code == 200
    tasks.process_due_webhook_events()
    assert everything() == before
    assert WebhookEvent.objects.get().outcome == "unknown refund"


def test_nothing_of_a_webhook_is_logged_but_what_is_needed_to_find_it(
    door: Door, waiting: Payment, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = ("whsec", WEBHOOK_SECRET, "5105105105105100")
    for values in ({"id": "pi_of_nobody"}, {"amount": 1}, {"status": "teleported"}):
        door(event(waiting, note="5105105105105100", **values))
        tasks.process_due_webhook_events()
    door(event(waiting, note="5105105105105100"), secret="another secret")
    written = capfd.readouterr()
    logged = caplog.text + written.out + written.err
    assert "webhook_of_unknown_payment" in logged
    assert not [secret for secret in secrets if secret in logged]
