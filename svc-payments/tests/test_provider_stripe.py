"""Stripe's official SDK against localstripe as a real process, against answers that go wrong, and with signed webhooks.

That payments do the same over Stripe as over the sandbox is shown by the tests of `both_providers`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
import stripe
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from payments import providers, services, tasks
from payments.exceptions import CardDeclined
from payments.models import LedgerEntry, PaymentStatus, RefundStatus
from payments.providers import (
    BadWebhook,
    Intent,
    OutcomeUnknown,
    ProviderDispute,
    ProviderRefund,
    ProviderRefused,
    ProviderUnavailable,
)
from payments.providers.stripe import StripeProvider
from shared_lib.ids import uuid7
from shared_lib.money import Money
from tests.conftest import HookedProvider
from tests.factories import confirm, new_payment, raising, usd
from tests.sandbox_process import SERVICE_FOLDER, Receiver, free_port, wait_for

KEY = "sk_test_12345"
SECRET = "whsec_test"
DECLINED = "pm_card_chargeCustomerFail"

_FIXTURES = Path(__file__).parent / "stripe_webhooks"


@pytest.fixture
def client() -> Iterator[Callable[..., StripeProvider]]:
    made: list[StripeProvider] = []

    def make(url: str, **values: Any) -> StripeProvider:
        given: dict[str, Any] = {
            "secret_key": KEY,
            "webhook_secret": SECRET,
            "return_url": "http://storefront.test/back",
            "timeout_seconds": 3.0,
            "api_base": url,
            **values,
        }
        made.append(StripeProvider(**given))
        return made[-1]

    yield make
    for provider in made:
        provider.close()


# localstripe


@pytest.fixture(scope="module")
def localstripe() -> Iterator[str]:
    """Its address."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "localstripe_server.py"), str(port)],
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, "localstripe ended"
        try:
            return httpx.get(f"{url}/v1/balance", auth=(KEY, "")).status_code == 200
        except httpx.TransportError:
            return False

    wait_for(answers, seconds=30)
    yield url
    process.terminate()
    process.wait(timeout=10)


@pytest.fixture(params=["automatic", "manual"])
def over_localstripe(
    request: pytest.FixtureRequest,
    localstripe: str,
    client: Any,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> StripeProvider:
    """The service's one provider, with each way of capturing."""
    provider: StripeProvider = client(localstripe, capture=request.param)
    settings.PAYMENT_PROVIDERS = ["stripe"]
    monkeypatch.setattr(providers, "get_provider", lambda name: provider)
    return provider


@pytest.mark.django_db
class TestOverLocalstripe:
    def test_a_card_pays_and_money_goes_back(self, over_localstripe: StripeProvider) -> None:
        began = datetime.now(UTC) - timedelta(seconds=1)
        payment = confirm(new_payment())
        assert payment.status == PaymentStatus.SUCCEEDED
        entries = LedgerEntry.objects.values_list("account_id", "entry_amount").order_by("account_id")
        assert list(entries) == [("customers", -1999), ("provider.stripe", 1999)]
        refund, _ = services.request_refund(
            payment_id=payment.id, refund_id=uuid7(), amount=usd(500), reason="too small"
        )
        tasks.send_refund(str(refund.id))
        refund.refresh_from_db()
        assert refund.status == RefundStatus.SUCCEEDED

        told = over_localstripe.get_refund(refund.provider_reference)
        assert (told.amount, told.refund_id) == (usd(500), refund.id)
        listed = over_localstripe.list_intents(since=began)
        assert payment.provider_reference in {intent.reference for intent in listed.items}
        assert payment.id in {intent.payment_id for intent in listed.items}
        assert told in over_localstripe.list_refunds(since=began).items

    def test_a_refund_that_was_made_is_found_and_not_made_again(
        self, over_localstripe: StripeProvider
    ) -> None:
        """localstripe keeps no idempotency keys, as Stripe keeps none after a day."""
        payment = confirm(new_payment())
        refund_id = uuid7()
        made = [
            over_localstripe.refund(
                payment.provider_reference, refund_id=refund_id, amount=usd(500), reason=""
            )
            for _ in range(2)
        ]
        assert made[0] == made[1]

    def test_a_declined_card_leaves_the_payment_payable(self, over_localstripe: StripeProvider) -> None:
        payment = new_payment()
        with pytest.raises(CardDeclined) as declined:
            confirm(payment, DECLINED)
        assert declined.value.extra == {"failure_code": "card_declined"}
        assert confirm(payment).status == PaymentStatus.SUCCEEDED

    def test_a_canceled_payment_is_canceled_there(self, over_localstripe: StripeProvider) -> None:
        payment = new_payment()
        with pytest.raises(CardDeclined):
            confirm(payment, DECLINED)
        payment = services.cancel_payment(payment_id=payment.id)
        assert payment.status == PaymentStatus.CANCELED
        assert over_localstripe.get_intent(payment.provider_reference).status == "canceled"

    def test_three_d_secure_that_only_a_script_can_do_is_a_decline(
        self, over_localstripe: StripeProvider, localstripe: str
    ) -> None:
        card = {"type": "card", "card[number]": "4000002500003155", "card[cvc]": "123"}
        method = create_method(localstripe, {**card, "card[exp_month]": "12", "card[exp_year]": "2040"})
        payment = new_payment()
        with pytest.raises(CardDeclined) as declined:
            confirm(payment, method)
        assert declined.value.extra == {"failure_code": "authentication_required"}
        payment.refresh_from_db()
        assert payment.status == PaymentStatus.REQUIRES_PAYMENT_METHOD

    def test_what_is_not_known_there_is_refused(self, over_localstripe: StripeProvider) -> None:
        with pytest.raises(ProviderRefused):
            over_localstripe.get_intent("pi_none")
        with pytest.raises(ProviderRefused):
            over_localstripe.get_refund("re_none")

    def test_a_wrong_key_is_not_let_in(self, client: Any, localstripe: str) -> None:
        with pytest.raises(ProviderUnavailable):
            client(localstripe, secret_key="nonsense").get_intent("pi_1")


@pytest.mark.django_db
@pytest.mark.parametrize("over_localstripe", ["automatic"], indirect=True)
def test_a_lost_answer_is_made_up_for_by_the_webhook_that_localstripe_signs(
    over_localstripe: StripeProvider, localstripe: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = {"url": receiver.url, "secret": SECRET}
    assert httpx.post(f"{localstripe}/_config/webhooks/shop", data=hook).status_code == 200
    hooked = HookedProvider(over_localstripe)
    hooked.after["confirm_intent"] = raising(OutcomeUnknown("cut"))
    monkeypatch.setattr(providers, "get_provider", lambda name: hooked)
    payment = confirm(new_payment())
    assert payment.status == PaymentStatus.PROCESSING
    headers, body = receiver.wait_for(payment.provider_reference, "payment_intent.succeeded")
    services.receive_webhook(provider_name="stripe", headers=headers, body=body)
    tasks.process_due_webhook_events()
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.SUCCEEDED
    with pytest.raises(BadWebhook):
        over_localstripe.verify_webhook(headers, body + b" ")


@pytest.mark.parametrize("end", ["captured", "canceled"])
def test_an_authorisation_whose_capture_never_came_ends_either_way(
    client: Any, localstripe: str, end: str
) -> None:
    """A process died between the two calls: the next question captures, a cancellation lets the money go."""
    authorised = client(localstripe, capture="manual")
    intent = authorised.create_intent(payment_id=uuid7(), order_id=uuid7(), amount=usd(700))
    path = f"{localstripe}/v1/payment_intents/{intent.reference}"
    raw = httpx.post(f"{path}/confirm", data={"payment_method": "pm_card_visa"}, auth=(KEY, ""))
    assert raw.json()["status"] == "requires_capture"
    if end == "captured":
        assert authorised.get_intent(intent.reference).status == "succeeded"
        assert httpx.get(path, auth=(KEY, "")).json()["status"] == "succeeded"
    else:
        assert authorised.cancel_intent(intent.reference).status == "canceled"


def create_method(url: str, values: dict[str, str]) -> str:
    answer = httpx.post(f"{url}/v1/payment_methods", data=values, auth=(KEY, ""))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


# Answers that go wrong


def confirm_there(provider: StripeProvider) -> Intent:
    return provider.confirm_intent(
        "pi_1", attempt_id=UUID(int=7), payment_method="pm_card_visa", return_url=None
    )


def an_intent(**values: Any) -> dict[str, Any]:
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 1999,
        "amount_received": 0,
        "currency": "usd",
        "status": "requires_payment_method",
        **values,
    }


def an_error(kind: str, code: str = "", **values: Any) -> dict[str, Any]:
    return {"error": {"type": kind, "code": code, "message": "No.", **values}}


def test_a_decline_comes_with_its_intent(httpserver: HTTPServer, client: Any) -> None:
    failure = {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds"}
    body = an_error("card_error", "card_declined", payment_intent=an_intent(last_payment_error=failure))
    httpserver.expect_request("/v1/payment_intents/pi_1/confirm").respond_with_json(body, status=402)
    intent = confirm_there(client(httpserver.url_for("")))
    assert (intent.status, intent.failure_code) == ("requires_payment_method", "insufficient_funds")


def test_a_state_that_does_not_allow_the_call_is_the_answer(httpserver: HTTPServer, client: Any) -> None:
    paid = an_intent(status="succeeded", amount_received=1999)
    body = an_error("invalid_request_error", "payment_intent_unexpected_state", payment_intent=paid)
    httpserver.expect_request("/v1/payment_intents/pi_1/cancel").respond_with_json(body, status=400)
    assert client(httpserver.url_for("")).cancel_intent("pi_1").status == "succeeded"


def test_each_call_carries_our_key_and_says_what_it_means(httpserver: HTTPServer, client: Any) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        request.get_data()
        seen.append(request)
        return Response(orjson.dumps(an_intent()), content_type="application/json")

    httpserver.expect_request("/v1/payment_intents").respond_with_handler(answer)
    httpserver.expect_request("/v1/payment_intents/pi_1/confirm").respond_with_handler(answer)
    provider = client(httpserver.url_for(""), capture="manual")
    provider.create_intent(payment_id=UUID(int=1), order_id=UUID(int=2), amount=usd(1999))
    confirm_there(provider)
    created, confirmed = seen
    assert created.headers["Idempotency-Key"] == f"create-{UUID(int=1)}"
    assert created.form["amount"] == "1999"
    assert created.form["currency"] == "usd"
    assert created.form["capture_method"] == "manual"
    assert created.form["metadata[payment_id]"] == str(UUID(int=1))
    assert confirmed.headers["Idempotency-Key"] == f"confirm-{UUID(int=7)}"
    assert confirmed.form["return_url"] == "http://storefront.test/back"
    assert {request.headers["Authorization"] for request in seen} == {f"Bearer {KEY}"}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, an_error("invalid_request_error"), ProviderUnavailable),
        (403, an_error("invalid_request_error"), ProviderUnavailable),
        (429, an_error("invalid_request_error", "rate_limit"), ProviderUnavailable),
        (409, an_error("idempotency_error", "idempotency_key_in_use"), OutcomeUnknown),
        (500, an_error("api_error"), OutcomeUnknown),
        (503, "<html>", OutcomeUnknown),
        (200, "<html>", OutcomeUnknown),
        (200, {}, OutcomeUnknown),
        (400, an_error("invalid_request_error", "amount_too_small", param="amount"), ProviderRefused),
        (404, an_error("invalid_request_error", "resource_missing", param="payment_method"), ProviderRefused),
    ],
)
def test_an_answer_that_is_no_intent_says_what_may_have_happened(
    httpserver: HTTPServer, client: Any, status: int, body: Any, expected: type[Exception]
) -> None:
    text = body if isinstance(body, str) else orjson.dumps(body)
    httpserver.expect_request("/v1/payment_intents/pi_1/confirm").respond_with_data(text, status=status)
    with pytest.raises(expected) as raised:
        confirm_there(client(httpserver.url_for("")))
    assert len(httpserver.log) == 1, "nothing is sent again by the SDK"
    if isinstance(raised.value, ProviderRefused):
        assert (raised.value.code, raised.value.param) == (body["error"]["code"], body["error"]["param"])


def test_silence_is_an_unknown_outcome_and_nobody_there_is_none(httpserver: HTTPServer, client: Any) -> None:
    def sleep(_: Request) -> Response:
        time.sleep(0.6)
        return Response(b"{}")

    httpserver.expect_request("/v1/payment_intents/pi_1/confirm").respond_with_handler(sleep)
    with pytest.raises(OutcomeUnknown):
        confirm_there(client(httpserver.url_for(""), timeout_seconds=0.3))
    with pytest.raises(ProviderUnavailable):
        confirm_there(client(f"http://127.0.0.1:{free_port()}"))


@pytest.mark.parametrize(
    ("status", "ours"),
    [
        ("requires_payment_method", "requires_payment_method"),
        ("requires_confirmation", "requires_payment_method"),
        ("processing", "processing"),
        ("requires_capture", "processing"),
        ("canceled", "canceled"),
    ],
)
def test_their_states_are_ours(client: Any, status: str, ours: str) -> None:
    told = client("http://127.0.0.1:1").read_event({"data": {"object": an_intent(status=status)}})
    assert (told.status, told.amount) == (ours, usd(1999))


def test_a_way_to_three_d_secure_is_shown(client: Any) -> None:
    way = {"type": "redirect_to_url", "redirect_to_url": {"url": "https://hooks.stripe.com/3ds/1"}}
    document = an_intent(status="requires_action", next_action=way)
    told = client("http://127.0.0.1:1").read_event({"data": {"object": document}})
    assert (told.status, told.redirect_url) == ("requires_action", "https://hooks.stripe.com/3ds/1")


@pytest.mark.parametrize(
    ("amount", "theirs"), [(Money(1999, "USD"), 1999), (Money(500, "JPY"), 500), (Money(500, "ISK"), 50000)]
)
def test_amounts_are_counted_as_they_count(
    httpserver: HTTPServer, client: Any, amount: Money, theirs: int
) -> None:
    document = an_intent(amount=theirs, currency=amount.currency.lower())
    httpserver.expect_request("/v1/payment_intents").respond_with_json(document)
    provider = client(httpserver.url_for(""))
    made = provider.create_intent(payment_id=uuid7(), order_id=uuid7(), amount=amount)
    assert made.amount == amount
    # The server answers in threads, and its log keeps no order.
    [sent] = [request for request, _ in httpserver.log if request.path == "/v1/payment_intents"]
    assert f"amount={theirs}&" in sent.get_data(as_text=True)


# Webhooks, as Stripe writes them, signed as Stripe signs


def signed(body: bytes, *, secret: str = SECRET, age: float = 0) -> dict[str, str]:
    moment = int(time.time() - age)
    header = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, moment)
    return {"Stripe-Signature": header}


def fixture(name: str) -> bytes:
    return (_FIXTURES / f"{name}.json").read_bytes()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "payment_intent.succeeded",
            Intent(
                reference="pi_3PexampleSucceeded",
                status="succeeded",
                amount=Money(1999, "USD"),
                payment_id=UUID("01906a3e-7c55-7d1c-8f8a-2f1d3c5b7a90"),
            ),
        ),
        (
            "payment_intent.payment_failed",
            Intent(
                reference="pi_3PexampleFailed",
                status="requires_payment_method",
                amount=Money(1999, "USD"),
                failure_code="insufficient_funds",
                payment_id=UUID("01906a3e-7c55-7d1c-8f8a-2f1d3c5b7a91"),
            ),
        ),
        (
            "refund.updated",
            ProviderRefund(
                reference="re_3PexampleRefund",
                payment_reference="pi_3PexampleSucceeded",
                status="succeeded",
                amount=Money(500, "USD"),
                refund_id=UUID("01906a3e-7c55-7d1c-8f8a-2f1d3c5b7a92"),
            ),
        ),
        (
            "refund.failed",
            ProviderRefund(
                reference="re_3PexampleFailed",
                payment_reference="pi_3PexampleSucceeded",
                status="failed",
                amount=Money(500, "USD"),
                refund_id=UUID("01906a3e-7c55-7d1c-8f8a-2f1d3c5b7a93"),
                failure_code="expired_or_canceled_card",
            ),
        ),
        (
            "charge.dispute.created",
            ProviderDispute(
                reference="du_1PexampleDispute",
                payment_reference="pi_3PexampleSucceeded",
                status="open",
                amount=Money(1499, "USD"),
                reason="fraudulent",
            ),
        ),
        (
            "charge.dispute.closed",
            ProviderDispute(
                reference="du_1PexampleDispute",
                payment_reference="pi_3PexampleSucceeded",
                status="lost",
                amount=Money(1499, "USD"),
                reason="fraudulent",
            ),
        ),
        ("charge.dispute.created.inquiry", None),
        ("charge.refunded", None),
        ("customer.created", None),
    ],
)
def test_a_signed_webhook_is_read(client: Any, name: str, told: Any) -> None:
    provider = client("http://127.0.0.1:1")
    body = fixture(name)
    webhook = provider.verify_webhook(signed(body), body)
    event = orjson.loads(body)
    assert (webhook.event_id, webhook.type) == (event["id"], event["type"])
    assert provider.read_event(webhook.payload) == told


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Stripe-Signature": ""},
        {"Stripe-Signature": "nonsense"},
        {"Stripe-Signature": "t=,v1="},
        {"Stripe-Signature": "t=1700000000"},
        {"Stripe-Signature": "t=abc,v1=abc"},
        {"Stripe-Signature": "t=1700000000,v1=\u00e4"},
    ],
)
def test_a_webhook_without_a_usable_signature_is_refused(client: Any, headers: dict[str, str]) -> None:
    with pytest.raises(BadWebhook):
        client("http://127.0.0.1:1").verify_webhook(headers, fixture("payment_intent.succeeded"))


@pytest.mark.parametrize("values", [{"secret": "whsec_other"}, {"age": 301}, {"age": -310}])
def test_a_webhook_of_another_time_or_sender_is_refused(client: Any, values: dict[str, Any]) -> None:
    body = fixture("payment_intent.succeeded")
    with pytest.raises(BadWebhook):
        client("http://127.0.0.1:1").verify_webhook(signed(body, **values), body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"no json",
        b'{"id": 1, "type": "x"}',
        b'{"id":"","type":"x"}',
        b'{"id":"e","type":"\\u0000"}',
    ],
)
def test_a_signed_body_that_is_no_event_is_refused(client: Any, body: bytes) -> None:
    with pytest.raises(BadWebhook):
        client("http://127.0.0.1:1").verify_webhook(signed(body), body)


def test_a_body_that_is_no_text_is_refused(client: Any) -> None:
    with pytest.raises(BadWebhook):
        client("http://127.0.0.1:1").verify_webhook(signed(b"x"), b"\xff\xfe")


def test_what_a_storefront_needs_holds_no_secret(client: Any) -> None:
    provider = client("http://127.0.0.1:1", publishable_key="pk_test_1")
    assert provider.describe() == {"type": "card", "name": "Card", "publishable_key": "pk_test_1"}
    assert "publishable_key" not in client("http://127.0.0.1:1").describe()


def test_the_sdk_needs_nothing_of_what_images_leave_out() -> None:
    """`stripe.params` is for type checkers: deploy/docker/service.Dockerfile removes it."""
    script = (
        "import sys, uuid; sys.modules['stripe.params'] = None\n"
        "import django; django.setup()\n"
        "from payments.providers import ProviderUnavailable, get_provider\n"
        "provider, one = get_provider('stripe'), uuid.UUID(int=1)\n"
        "from shared_lib.money import Money\n"
        "from datetime import datetime, UTC\n"
        "for call in (\n"
        "    lambda: provider.create_intent(payment_id=one, order_id=one, amount=Money(1, 'USD')),\n"
        "    lambda: provider.confirm_intent('pi', attempt_id=one, payment_method='pm', return_url=None),\n"
        "    lambda: provider.cancel_intent('pi'),\n"
        "    lambda: provider.refund('pi', refund_id=one, amount=Money(1, 'USD'), reason=''),\n"
        "    lambda: provider.list_disputes(since=datetime.now(UTC)),\n"
        "):\n"
        "    try:\n"
        "        call()\n"
        "    except ProviderUnavailable:\n"
        "        print('asked')\n"
    )
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PAYMENT_PROVIDERS": "stripe",
        "STRIPE_SECRET_KEY": KEY,
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "STRIPE_API_BASE": f"http://127.0.0.1:{free_port()}",
    }
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=SERVICE_FOLDER,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.stdout == "asked\n" * 5, ended.stderr
