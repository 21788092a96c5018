"""Faults that the sandbox makes on request: what it counts is what its merchant sees."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from sandbox.webhooks import signature
from tests.sandbox_process import API_KEY, WEBHOOK_SECRET, Receiver, SandboxProcess, wait_for
from tests.test_sandbox import confirm, key, new_intent, paid_intent


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def _faulty(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[SandboxProcess]:
    sandbox = SandboxProcess(tmp_path_factory.mktemp("sandbox"), receiver)
    yield sandbox
    sandbox.stop()


@pytest.fixture
def faulty(_faulty: SandboxProcess) -> Iterator[SandboxProcess]:
    yield _faulty
    assert _faulty.http.delete("/control/faults").status_code == 200
    wait_for(lambda: counters(_faulty)["waiting"] == 0)


def ask_for(sandbox: SandboxProcess, **faults: Any) -> dict[str, int]:
    """Sets the faults and returns the counters as they were."""
    answer = sandbox.http.post("/control/faults", json=faults)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["counters"])


def counters(sandbox: SandboxProcess) -> dict[str, int]:
    return dict(sandbox.http.get("/control/faults").json()["counters"])


def since(sandbox: SandboxProcess, before: dict[str, int]) -> Counter[str]:
    return Counter({name: value - before[name] for name, value in counters(sandbox).items()})


def test_every_webhook_comes_twice(faulty: SandboxProcess, receiver: Receiver) -> None:
    before = ask_for(faulty, double=1.0)
    intents = [paid_intent(faulty) for _ in range(6)]
    wait_for(lambda: since(faulty, before)["doubled"] == 6)
    for intent in intents:
        first, second = (orjson.loads(body)["id"] for _, body in receiver.of(intent["id"]))
        assert first == second
    assert since(faulty, before)["taken"] == 12


def test_a_doubled_webhook_that_is_not_taken_comes_again(faulty: SandboxProcess, receiver: Receiver) -> None:
    before = ask_for(faulty, double=1.0)
    receiver.status = 503
    try:
        intent = paid_intent(faulty)
        wait_for(lambda: since(faulty, before)["deliveries"] >= 1)
    finally:
        receiver.status = 200
    wait_for(lambda: since(faulty, before)["doubled"] == 1)
    assert len(receiver.of(intent["id"])) >= 2


def test_webhooks_are_delayed_within_the_bound(faulty: SandboxProcess, receiver: Receiver) -> None:
    before = ask_for(faulty, delay_max_seconds=0.6)
    begin = time.monotonic()
    intents = [paid_intent(faulty) for _ in range(8)]
    wait_for(lambda: since(faulty, before)["taken"] == 8)
    assert since(faulty, before)["delayed"] == 8
    assert time.monotonic() - begin > 0.2
    came = [orjson.loads(body)["data"]["object"]["id"] for _, body in receiver.taken[-8:]]
    assert sorted(came) == sorted(intent["id"] for intent in intents)
    assert came != sorted(came), "they overtook each other"


def test_an_earlier_webhook_of_a_payment_comes_after_a_later_one(
    faulty: SandboxProcess, receiver: Receiver
) -> None:
    before = ask_for(faulty, reorder=1.0, reorder_max_seconds=60)
    intent = new_intent(faulty)
    confirm(faulty, intent, "pm_card_authenticationRequired")
    ask_for(faulty, double=0.5)
    page = faulty.intent(intent["id"])["next_action"]["redirect_to_url"]["url"]
    faulty.answer_challenge(page, "authorise")
    receiver.wait_for(intent["id"], "requires_action")
    kinds = [orjson.loads(body)["type"] for _, body in receiver.of(intent["id"])]
    assert kinds[0] == "payment_intent.succeeded"
    assert kinds[-1] == "payment_intent.requires_action"
    assert (since(faulty, before)["held"], since(faulty, before)["reordered"]) == (1, 1)


def test_what_is_held_back_in_vain_comes_in_the_end(faulty: SandboxProcess, receiver: Receiver) -> None:
    before = ask_for(faulty, reorder=1.0, reorder_max_seconds=0.3)
    receiver.wait_for(paid_intent(faulty)["id"], "succeeded")
    assert since(faulty, before)["reordered"] == 0


@pytest.mark.parametrize(("fault", "counter"), [("bad_signature", "bad_signatures"), ("stale", "stale")])
def test_a_spoilt_signature_comes_first_and_a_good_one_after_it(
    faulty: SandboxProcess, receiver: Receiver, fault: str, counter: str
) -> None:
    before = ask_for(faulty, **{fault: 1.0})
    intent = paid_intent(faulty)
    wait_for(lambda: len(receiver.of(intent["id"])) == 2)
    spoilt, good = receiver.of(intent["id"])
    for (headers, body), fits in ((spoilt, False), (good, True)):
        moment = int(headers["sandbox-signature"].split(",")[0].removeprefix("t="))
        fresh = abs(time.time() - moment) < 60
        assert (fresh and headers["sandbox-signature"] == signature(WEBHOOK_SECRET, moment, body)) == fits
    # This receiver takes everything, and a service that did so would be found out by this counter.
    wait_for(lambda: since(faulty, before)["taken"] == 1)
    assert (since(faulty, before)[counter], since(faulty, before)[f"{counter}_taken"]) == (1, 1)


def test_a_dropped_webhook_never_comes(faulty: SandboxProcess, receiver: Receiver) -> None:
    before = ask_for(faulty, drop=1.0)
    dropped = paid_intent(faulty)
    assert since(faulty, before)["dropped"] == 1
    faulty.http.delete("/control/faults")
    receiver.wait_for(paid_intent(faulty)["id"])
    assert not receiver.of(dropped["id"])
    assert "dropped" in faulty.http.get("/").text


def test_answers_fail_before_or_after_the_work_is_done(faulty: SandboxProcess) -> None:
    before = ask_for(faulty, error=1.0)
    keys = [key() for _ in range(8)]
    body = {"amount": 700, "currency": "USD"}
    assert {faulty.post("/v1/payment_intents", body, key=each).status_code for each in keys} == {500}
    seen = since(faulty, before)
    assert seen["errors_before"] + seen["errors_after"] == 8
    ask_for(faulty)
    replayed = [
        "idempotent-replayed" in faulty.post("/v1/payment_intents", body, key=each).headers for each in keys
    ]
    assert Counter(replayed) == {True: seen["errors_after"], False: seen["errors_before"]}
    assert min(seen["errors_after"], seen["errors_before"]) > 0


def test_answers_are_cut(faulty: SandboxProcess) -> None:
    before = ask_for(faulty, cut=1.0, seed=3)
    for _ in range(4):
        with pytest.raises(httpx.RemoteProtocolError):
            faulty.post("/v1/payment_intents", {"amount": 700, "currency": "USD"}, key=key())
    assert since(faulty, before)["cuts_before"] + since(faulty, before)["cuts_after"] == 4


def test_answers_are_late(faulty: SandboxProcess) -> None:
    before = ask_for(faulty, slow_max_seconds=0.4)
    begin = time.monotonic()
    for _ in range(5):
        paid_intent(faulty)
    assert time.monotonic() - begin > 0.4
    assert since(faulty, before)["slowed"] == 10


def test_healing_sends_what_waits_at_once(faulty: SandboxProcess, receiver: Receiver) -> None:
    ask_for(faulty, delay_max_seconds=3600)
    intent = paid_intent(faulty)
    assert not receiver.of(intent["id"])
    healed = faulty.http.delete("/control/faults").json()
    assert healed["faults"]["delay_max_seconds"] == 0
    receiver.wait_for(intent["id"], "succeeded")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_the_control_needs_the_key_and_is_not_behind_a_gateway(faulty: SandboxProcess, method: str) -> None:
    url = f"{faulty.url}/control/faults"
    bare = httpx.request(method, url)
    assert (bare.status_code, bare.json()["error"]["code"]) == (401, "api_key_invalid")
    good = {"authorization": f"Bearer {API_KEY}"}
    assert httpx.request(method, url, headers=good, content=b"{}").status_code == 200
    through = httpx.request(method, url, headers={**good, "x-forwarded-for": "192.0.2.1"}, content=b"{}")
    assert through.status_code == 404


@pytest.mark.parametrize("body", [{"double": 1.5}, {"drop": -1}, {"typo": 1}, {"delay_max_seconds": 1e9}, []])
def test_faults_that_cannot_be_are_refused(faulty: SandboxProcess, body: Any) -> None:
    answer = faulty.http.post("/control/faults", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "parameter_invalid")


def test_faults_and_counters_outlive_a_kill_and_are_repeated_by_their_seed(
    tmp_path: Path, receiver: Receiver
) -> None:
    drawn = []
    for run in ("first", "second"):
        sandbox = SandboxProcess(
            tmp_path / run, receiver, SANDBOX_FAULTS='{"drop": 0.5, "error": 0.2, "seed": 7}'
        )
        dropped = []
        for number in range(12):
            if number == 6:
                sandbox.kill()
                sandbox.start()
            before = counters(sandbox)["dropped"]
            intent = until_it_answers(sandbox, "/v1/payment_intents", {"amount": 100, "currency": "USD"})
            until_it_answers(
                sandbox, f"/v1/payment_intents/{intent['id']}/confirm", {"payment_method": "pm_card_visa"}
            )
            dropped.append(counters(sandbox)["dropped"] - before)
        report = sandbox.http.get("/control/faults").json()
        sandbox.stop()
        assert report["faults"]["drop"] == 0.5
        assert report["counters"]["events"] == 12
        drawn.append((dropped, report["counters"]["errors_before"] + report["counters"]["errors_after"]))
    assert drawn[0] == drawn[1]
    assert 0 < sum(drawn[0][0]) < 12
    assert drawn[0][1] > 0


def until_it_answers(sandbox: SandboxProcess, path: str, body: Any) -> dict[str, Any]:
    same = key()
    while (answer := sandbox.post(path, body, key=same)).status_code == 500:
        pass
    document: dict[str, Any] = answer.json()
    return document
