"""The sandbox provider by itself: what a merchant and a buyer can count on."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from sandbox.webhooks import LONGEST_PAUSE_SECONDS, pause_seconds, signature
from tests.sandbox_process import (
    PUBLIC_URL,
    SERVICE_FOLDER,
    SETTLE_SECONDS,
    WEBHOOK_SECRET,
    Receiver,
    SandboxProcess,
    wait_for,
)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[SandboxProcess]:
    """A sandbox of this module's own, so that it may be killed."""
    sandbox = SandboxProcess(tmp_path_factory.mktemp("sandbox"), receiver)
    yield sandbox
    sandbox.stop()


def key() -> str:
    return str(uuid4())


def new_intent(provider: SandboxProcess, amount: int = 1999) -> dict[str, Any]:
    answer = provider.post("/v1/payment_intents", {"amount": amount, "currency": "USD"}, key=key())
    assert answer.status_code == 200, answer.text
    intent: dict[str, Any] = answer.json()
    return intent


def confirm(provider: SandboxProcess, intent: dict[str, Any], token: str, **values: Any) -> httpx.Response:
    body = {"payment_method": token, **values}
    return provider.post(f"/v1/payment_intents/{intent['id']}/confirm", body, key=key())


def paid_intent(provider: SandboxProcess, amount: int = 1999) -> dict[str, Any]:
    intent = new_intent(provider, amount)
    assert confirm(provider, intent, "pm_card_visa").json()["status"] == "succeeded"
    return intent


def test_it_shares_no_import_with_payments() -> None:
    modules = set()
    for path in (SERVICE_FOLDER / "sandbox").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules.add(node.module or "")
    assert not {name for name in modules if name.split(".")[0] in ("payments", "django", "config")}


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic x", "bearer test-api-key"])
def test_without_the_key_nothing_is_answered(provider: SandboxProcess, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header}
    for method, path in (
        ("POST", "/v1/payment_intents"),
        ("GET", "/v1/payment_intents/pi_1"),
        ("POST", "/v1/refunds"),
    ):
        answer = httpx.request(method, provider.url + path, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "api_key_invalid"


def test_the_same_key_gives_the_same_answer(provider: SandboxProcess) -> None:
    same = key()
    body = {"amount": 500, "currency": "USD", "metadata": {"payment_id": "x"}}
    first, again = (provider.post("/v1/payment_intents", body, key=same) for _ in range(2))
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    other = provider.post("/v1/payment_intents", {**body, "amount": 501}, key=same)
    assert (other.status_code, other.json()["error"]["code"]) == (400, "idempotency_key_reused")
    assert provider.post("/v1/payment_intents", body).json()["error"]["code"] == "idempotency_key_required"


def test_a_declined_confirmation_is_declined_again_under_its_key(provider: SandboxProcess) -> None:
    intent = new_intent(provider)
    same = key()
    path = f"/v1/payment_intents/{intent['id']}/confirm"
    answers = [provider.post(path, {"payment_method": "pm_card_chargeDeclined"}, key=same) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [402, 402]
    error = answers[1].json()["error"]
    assert (error["type"], error["code"]) == ("card_error", "card_declined")
    assert error["payment_intent"]["status"] == "requires_payment_method"


def test_confirmations_at_once_have_one_winner(provider: SandboxProcess) -> None:
    intent = new_intent(provider)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: confirm(provider, intent, "pm_card_visa").status_code, range(8)))
    assert sorted(answers) == [200] + [409] * 7


def test_a_canceled_intent_is_never_paid(provider: SandboxProcess) -> None:
    intent = new_intent(provider)
    page = confirm(provider, intent, "pm_card_authenticationRequired").json()["next_action"][
        "redirect_to_url"
    ]["url"]
    for _ in range(2):
        answer = provider.post(f"/v1/payment_intents/{intent['id']}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    refused = confirm(provider, intent, "pm_card_visa")
    assert refused.status_code == 409
    assert refused.json()["error"]["payment_intent"]["status"] == "canceled"
    assert provider.answer_challenge(page, "authorise").status_code == 200
    assert provider.intent(intent["id"])["amount_received"] == 0


@pytest.mark.parametrize("token", ["pm_card_visa", "pm_card_delayed"])
def test_money_that_moves_cannot_be_canceled(provider: SandboxProcess, token: str) -> None:
    intent = new_intent(provider)
    status = confirm(provider, intent, token).json()["status"]
    answer = provider.post(f"/v1/payment_intents/{intent['id']}/cancel")
    assert (answer.status_code, answer.json()["error"]["payment_intent"]["status"]) == (409, status)


def test_refunds_never_exceed_the_payment(provider: SandboxProcess) -> None:
    intent = paid_intent(provider, 1000)
    body = {"payment_intent": intent["id"], "amount": 300}
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: provider.post("/v1/refunds", body, key=key()), range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [409] * 3
    assert provider.intent(intent["id"])["amount_refunded"] == 900
    unpaid = provider.post(
        "/v1/refunds", {"payment_intent": new_intent(provider)["id"], "amount": 1}, key=key()
    )
    assert unpaid.json()["error"]["code"] == "payment_intent_unexpected_state"


def test_lists_come_in_pages_with_the_latest_first(provider: SandboxProcess) -> None:
    began = time.time()
    made = [new_intent(provider)["id"] for _ in range(7)][::-1]
    listed: list[str] = []
    more = True
    while more:
        after = {"starting_after": listed[-1]} if listed else {}
        page = provider.http.get(
            "/v1/payment_intents", params={"limit": 3, "created[gte]": began, **after}
        ).json()
        assert len(page["data"]) <= 3
        listed += [each["id"] for each in page["data"]]
        more = page["has_more"]
    assert listed == sorted(made, reverse=True)
    for query in ("limit=0", "limit=101", "limit=x", "surprise=1", "created[gte]=yesterday"):
        assert provider.http.get(f"/v1/refunds?{query}").json()["error"]["code"] == "parameter_invalid"


@pytest.mark.parametrize(("evidence", "status"), [("winning_evidence", "won"), ("losing_evidence", "lost")])
def test_a_dispute_takes_what_is_left_and_is_decided_once(
    provider: SandboxProcess, receiver: Receiver, evidence: str, status: str
) -> None:
    intent = new_intent(provider, 1000)
    confirm(provider, intent, "pm_card_createDispute")
    provider.post("/v1/refunds", {"payment_intent": intent["id"], "amount": 300}, key=key())
    _, body = receiver.wait_for(intent["id"], "dispute.created")
    dispute = orjson.loads(body)["data"]["object"]
    assert (dispute["amount"], dispute["status"]) == (700, "needs_response")
    refund = provider.post("/v1/refunds", {"payment_intent": intent["id"], "amount": 1}, key=key())
    assert (refund.status_code, refund.json()["error"]["code"]) == (409, "charge_disputed")
    path = f"/v1/disputes/{dispute['id']}"
    for given in (evidence, "winning_evidence"):
        assert provider.post(path, {"evidence": given}).json()["status"] == status
    receiver.wait_for(intent["id"], "dispute.closed")
    assert provider.http.get(path).json()["status"] == status
    again = provider.post("/v1/refunds", {"payment_intent": intent["id"], "amount": 1}, key=key())
    assert again.status_code == (200 if status == "won" else 409)


def test_a_delayed_payment_settles_by_itself(provider: SandboxProcess, receiver: Receiver) -> None:
    intent = new_intent(provider)
    assert confirm(provider, intent, "pm_card_delayed").json()["status"] == "processing"
    receiver.wait_for(intent["id"], "processing")
    receiver.wait_for(intent["id"], "succeeded")
    assert provider.intent(intent["id"])["status"] == "succeeded"


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/payment_intents", {"amount": 0, "currency": "USD"}, "parameter_invalid"),
        ("/v1/payment_intents", {"amount": 1.5, "currency": "USD"}, "parameter_invalid"),
        ("/v1/payment_intents", {"amount": 1, "currency": "usd"}, "parameter_invalid"),
        ("/v1/payment_intents", {"amount": 1, "currency": "USD", "surprise": 1}, "parameter_invalid"),
        ("/v1/payment_intents", [], "parameter_invalid"),
        ("/v1/refunds", {"payment_intent": "pi_none", "amount": 1}, "resource_missing"),
        ("/v1/payment_intents/pi_none/confirm", {"payment_method": "pm_card_visa"}, "resource_missing"),
        ("/v1/payment_intents/pi_none/confirm", {"payment_method": "pm_none"}, "resource_missing"),
        (
            "/v1/payment_intents/pi_none/confirm",
            {"payment_method": "pm_card_visa", "return_url": "javascript:alert(1)"},
            "url_invalid",
        ),
    ],
)
def test_what_does_not_fit_is_refused(provider: SandboxProcess, path: str, body: Any, code: str) -> None:
    answer = provider.post(path, body, key=key())
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["code"] == code


def test_odd_requests_get_plain_answers(provider: SandboxProcess) -> None:
    assert provider.http.get("/nowhere").status_code == 404
    assert provider.http.delete("/v1/refunds").status_code == 405
    assert provider.http.delete("/v1/refunds").headers["allow"] == "GET, POST"
    assert provider.http.post("/v1/refunds", content=b"{").json()["error"]["code"] == "body_malformed"
    assert provider.http.post("/v1/refunds", content=b"x" * 70_000).status_code == 413
    assert provider.http.head("/").status_code == 200
    bad_key = provider.http.post(
        "/v1/payment_intents", json={"amount": 1, "currency": "USD"}, headers={"idempotency-key": "x" * 256}
    )
    assert bad_key.json()["error"]["code"] == "idempotency_key_invalid"


def test_the_three_d_secure_page_asks_and_sends_back(provider: SandboxProcess) -> None:
    intent = new_intent(provider)
    back = "http://storefront.test/orders/1?x=%C3%A4&tab="
    action = confirm(provider, intent, "pm_card_authenticationRequired", return_url=back).json()[
        "next_action"
    ]
    page = action["redirect_to_url"]["url"]
    assert page.startswith(f"{PUBLIC_URL}/3ds/")
    shown = provider.http.get(page.removeprefix(PUBLIC_URL))
    assert shown.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    assert "19.99 USD" in shown.text
    assert '<form method="post">' in shown.text, (
        "posts back to its own address, whatever prefix stands before it"
    )
    assert "Authorise" in shown.text
    assert "Fail" in shown.text
    assert provider.answer_challenge(page, "perhaps").status_code == 400
    for outcome in ("fail", "authorise"):
        answer = provider.answer_challenge(page, outcome)
        assert answer.status_code == 303
        assert answer.headers["location"] == (
            f"http://storefront.test/orders/1?x=%C3%A4&tab=&payment_intent={intent['id']}&redirect_status=failed"
        ), "the first answer counts"
    assert "nothing left to decide" in provider.http.get(page.removeprefix(PUBLIC_URL)).text
    assert provider.intent(intent["id"])["status"] == "requires_payment_method"
    assert provider.http.get("/3ds/tds_none").status_code == 404


def test_what_a_merchant_sends_is_escaped_on_pages(provider: SandboxProcess) -> None:
    intent = new_intent(provider)
    back = "http://storefront.test/'\"><script>alert(1)</script>"
    action = confirm(provider, intent, "pm_card_authenticationRequired", return_url=back).json()[
        "next_action"
    ]
    path = action["redirect_to_url"]["url"].removeprefix(PUBLIC_URL)
    provider.answer_challenge(action["redirect_to_url"]["url"], "authorise")
    assert "<script>" not in provider.http.get(path).text
    assert "<script>" not in provider.http.get("/").text


def test_the_overview_shows_payments_and_webhooks(provider: SandboxProcess, receiver: Receiver) -> None:
    intent = paid_intent(provider)
    receiver.wait_for(intent["id"])
    page = provider.http.get("/").text
    assert intent["id"] in page
    assert "payment_intent.succeeded" in page


def test_webhooks_are_signed(provider: SandboxProcess, receiver: Receiver) -> None:
    intent = paid_intent(provider)
    headers, body = receiver.wait_for(intent["id"], "succeeded")
    moment = int(headers["sandbox-signature"].split(",")[0].removeprefix("t="))
    assert abs(time.time() - moment) < 5
    assert headers["sandbox-signature"] == signature(WEBHOOK_SECRET, moment, body)
    event = orjson.loads(body)
    assert event["id"].startswith("evt_")
    assert event["data"]["object"]["amount_received"] == 1999


def test_a_webhook_is_tried_until_it_is_taken(provider: SandboxProcess, receiver: Receiver) -> None:
    tries = receiver.tries
    receiver.status = 503
    try:
        intent = paid_intent(provider)
        wait_for(lambda: receiver.tries >= tries + 2)
        assert not receiver.of(intent["id"])
    finally:
        receiver.status = 200
    receiver.wait_for(intent["id"], "succeeded")
    time.sleep(0.1)
    assert len(receiver.of(intent["id"], "succeeded")) == 1


def test_pauses_between_tries_grow_up_to_five_minutes() -> None:
    pauses = [pause_seconds(attempts) for attempts in range(1, 30)]
    assert 0.4 <= pauses[0] <= 0.6
    assert all(later > sooner for sooner, later in zip(pauses[0:8:2], pauses[2:10:2], strict=True))
    assert max(pauses) <= LONGEST_PAUSE_SECONDS * 1.2


def test_kill_9_forgets_nothing(provider: SandboxProcess, receiver: Receiver) -> None:
    receiver.status = 503
    try:
        paid = paid_intent(provider)
        delayed = new_intent(provider)
        confirm(provider, delayed, "pm_card_delayed")
        same = key()
        body = {"payment_intent": paid["id"], "amount": 700}
        refund = provider.post("/v1/refunds", body, key=same).json()
        provider.kill()
        time.sleep(SETTLE_SECONDS)
    finally:
        receiver.status = 200
    provider.start()
    assert provider.intent(paid["id"])["amount_received"] == 1999
    assert provider.post("/v1/refunds", body, key=same).json() == refund
    assert provider.intent(paid["id"])["amount_refunded"] == 700
    for reference, kind in ((paid["id"], "payment_intent.succeeded"), (refund["id"], "refund.succeeded")):
        receiver.wait_for(reference, kind)
    receiver.wait_for(delayed["id"], "payment_intent.succeeded")


def test_one_file_has_one_sandbox(provider: SandboxProcess) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "sandbox"],
        cwd=SERVICE_FOLDER,
        env={**provider.environment, "PORT": "1"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == 1
    assert "Another sandbox payment provider uses" in second.stderr


def test_it_is_one_process_that_ends_with_the_one_that_started_it(
    provider: SandboxProcess, tmp_path: Path
) -> None:
    """A parent that is killed, as a supervisor may be, leaves nothing on the port."""
    environment = {**provider.environment, "SANDBOX_DATABASE": str(tmp_path / "other.sqlite3"), "PORT": "0"}
    script = (
        "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-m', 'sandbox']);"
        " print(child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], cwd=SERVICE_FOLDER, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert parent.stdout is not None
        with parent.stdout:
            child = int(parent.stdout.readline())
        wait_for((tmp_path / "other.sqlite3-wal").exists)
        assert not Path(f"/proc/{child}/task/{child}/children").read_text(), "it has no children"
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    wait_for(partial(is_gone, child))


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True
