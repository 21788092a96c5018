"""The service's client of the sandbox on a network that fails: broken connections, silence, nonsense."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from payments import providers, services
from payments.models import LedgerTransaction, PaymentAttempt, PaymentStatus
from payments.providers import OutcomeUnknown, ProviderRefused, ProviderUnavailable
from payments.providers.sandbox import SandboxProvider
from shared_lib.exceptions import ServiceUnavailable
from shared_lib.ids import uuid7
from tests.factories import confirm, new_payment, usd
from tests.sandbox_process import API_KEY, WEBHOOK_SECRET, Receiver, SandboxProcess, free_port


class BadNetwork:
    """Stands between the service and the sandbox. `faults` are used up one a request, on requests whose path fits `on`.

    `lose_request`, `lose_answer`: the connection breaks before or after the sandbox did its work. `silence`: the answer
    never comes. A number: that status instead of the answer. `nonsense`: a 200 that is no answer.
    """

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.faults: list[str | int] = []
        self.on = ""
        self.requests: list[str] = []
        network = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                network.requests.append(self.path)
                fault = network.faults.pop(0) if network.on in self.path and network.faults else ""
                if fault == "lose_request":
                    self.close_connection = True
                    return
                upstream = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=5)
                upstream.request(self.command, self.path, body, dict(self.headers))
                answer = upstream.getresponse()
                status, content = answer.status, answer.read()
                upstream.close()
                if fault == "lose_answer":
                    self.close_connection = True
                    return
                if fault == "silence":
                    time.sleep(1.0)
                    self.close_connection = True
                    return
                if isinstance(fault, int):
                    status, content = fault, b"{}"
                if fault == "nonsense":
                    content = b"<html>"
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = _handle  # noqa: N815 - the names that http.server looks for
            do_POST = _handle  # noqa: N815

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def network(sandbox: SandboxProcess) -> Iterator[BadNetwork]:
    network = BadNetwork(sandbox)
    yield network
    network.close()


@pytest.fixture
def client() -> Iterator[Callable[[str], SandboxProvider]]:
    made: list[SandboxProvider] = []

    def make(url: str) -> SandboxProvider:
        made.append(
            SandboxProvider(url=url, api_key=API_KEY, webhook_secret=WEBHOOK_SECRET, timeout_seconds=0.5)
        )
        return made[-1]

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def behind(network: BadNetwork, client: Any, monkeypatch: pytest.MonkeyPatch) -> SandboxProvider:
    """The service reaches the sandbox through the bad network only."""
    provider: SandboxProvider = client(network.url)
    monkeypatch.setattr(providers, "get_provider", lambda name: provider)
    return provider


def create(provider: SandboxProvider) -> Any:
    return provider.create_intent(payment_id=uuid7(), order_id=uuid7(), amount=usd(500))


def test_a_refused_connection_was_certainly_not_asked(client: Any) -> None:
    with pytest.raises(ProviderUnavailable):
        create(client(f"http://127.0.0.1:{free_port()}"))


@pytest.mark.parametrize("fault", ["lose_request", "lose_answer"])
def test_a_broken_connection_is_tried_once_more_under_the_same_key(
    network: BadNetwork, client: Any, sandbox: SandboxProcess, fault: str
) -> None:
    provider = client(network.url)
    intent = create(provider)
    network.faults = [fault]
    refund_id, attempt_id = uuid7(), uuid7()
    paid = provider.confirm_intent(
        intent.reference, attempt_id=attempt_id, payment_method="pm_card_visa", return_url=None
    )
    assert paid.status == "succeeded"
    network.faults = [fault]
    provider.refund(intent.reference, refund_id=refund_id, amount=usd(200), reason="")
    assert sandbox.intent(intent.reference)["amount_refunded"] == 200
    assert len(network.requests) == 5


def test_a_confirmation_that_is_sent_twice_is_tried_once(
    network: BadNetwork, client: Any, sandbox: SandboxProcess, receiver: Receiver
) -> None:
    provider = client(network.url)
    declined, asked = create(provider).reference, create(provider).reference
    network.on = "/confirm"
    for reference, token in ((declined, "pm_card_chargeDeclined"), (asked, "pm_card_authenticationRequired")):
        network.faults = ["lose_answer"]
        provider.confirm_intent(reference, attempt_id=uuid7(), payment_method=token, return_url=None)
    page = provider.get_intent(asked).redirect_url
    sandbox.answer_challenge(page, "authorise")
    receiver.wait_for(asked, "succeeded")
    assert len(receiver.of(declined, "payment_failed")) == 1
    assert len(receiver.of(asked, "requires_action")) == 1


@pytest.mark.parametrize("faults", [["lose_answer", "lose_answer"], ["silence"], [500], [502], ["nonsense"]])
def test_an_answer_that_does_not_come_is_an_unknown_outcome(
    network: BadNetwork, client: Any, faults: list[Any]
) -> None:
    provider = client(network.url)
    intent = create(provider)
    network.faults = faults
    with pytest.raises(OutcomeUnknown):
        provider.confirm_intent(
            intent.reference, attempt_id=uuid7(), payment_method="pm_card_visa", return_url=None
        )
    assert provider.get_intent(intent.reference).status == "succeeded"


@pytest.mark.parametrize("status", [401, 429])
def test_a_provider_that_lets_nobody_in_did_nothing(network: BadNetwork, client: Any, status: int) -> None:
    network.faults = [status]
    with pytest.raises(ProviderUnavailable):
        create(client(network.url))


def test_what_the_provider_does_not_know_it_refuses(client: Any, sandbox: SandboxProcess) -> None:
    provider = client(sandbox.url)
    with pytest.raises(ProviderRefused) as refused:
        provider.get_intent("pi_none")
    assert refused.value.code == "resource_missing"
    with pytest.raises(ProviderRefused) as refused:
        provider.confirm_intent(
            create(provider).reference, attempt_id=uuid7(), payment_method="pm_none", return_url=None
        )
    assert refused.value.param == "payment_method"


@pytest.mark.django_db(transaction=True)
def test_a_charge_whose_answer_is_lost_is_found_and_charged_once(
    network: BadNetwork, behind: SandboxProvider, sandbox: SandboxProcess
) -> None:
    payment = new_payment()
    network.on, network.faults = "/confirm", ["silence"]
    assert confirm(payment).status == PaymentStatus.PROCESSING
    services.reconcile_attempt(attempt=PaymentAttempt.objects.get())
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.SUCCEEDED
    assert sandbox.intent(payment.provider_reference)["amount_received"] == 1999
    assert LedgerTransaction.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_intent_whose_answer_is_lost_is_the_same_intent_next_time(
    network: BadNetwork, behind: SandboxProvider, sandbox: SandboxProcess
) -> None:
    payment = new_payment()
    network.on, network.faults = "/v1/payment_intents", ["silence"]
    with pytest.raises(ServiceUnavailable):
        confirm(payment)
    network.on = "nothing"
    paid = confirm(payment)
    assert paid.status == PaymentStatus.SUCCEEDED
    again = behind.create_intent(payment_id=payment.id, order_id=payment.order_id, amount=payment.amount)
    assert again.reference == paid.provider_reference


def test_the_methods_of_the_provider_tell_no_secret(client: Any) -> None:
    described = str(client("http://127.0.0.1:1").describe())
    assert API_KEY not in described
    assert WEBHOOK_SECRET not in described
