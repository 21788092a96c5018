"""/healthz is about the gateway, /readyz about every service."""

from __future__ import annotations

import time

import httpx

from tests.support.services import NAMES, Services


def wait_for_readiness(client: httpx.Client, status: int) -> httpx.Response:
    """An answer is kept for a second."""
    end = time.monotonic() + 4
    while True:
        answer = client.get("/readyz")
        if answer.status_code == status or time.monotonic() > end:
            assert answer.status_code == status, answer.text
            return answer
        time.sleep(0.1)


def test_the_gateway_is_alive_whatever_the_services_do(client: httpx.Client, services: Services) -> None:
    services.stop()
    assert client.get("/healthz").text == "ok\n"
    assert client.head("/healthz").status_code == 200


def test_readiness_has_one_line_for_each_service(client: httpx.Client) -> None:
    answer = wait_for_readiness(client, 200)
    assert answer.text.splitlines() == [f"{name} ready" for name in NAMES]


def test_a_service_that_is_not_ready_or_away_makes_it_503_and_is_named(
    client: httpx.Client, services: Services
) -> None:
    wait_for_readiness(client, 200)
    services["svc-orders"].ready = False
    services["svc-payments"].stop()
    answer = wait_for_readiness(client, 503)
    lines = dict(line.split(" ", 1) for line in answer.text.splitlines())
    assert lines.pop("svc-orders") == "not ready: the database does not answer"
    assert lines.pop("svc-payments") == "not ready: no answer"
    assert lines == dict.fromkeys(set(NAMES) - {"svc-orders", "svc-payments"}, "ready")
    assert answer.headers["Cache-Control"] == "no-store"
    services.reset()
    wait_for_readiness(client, 200)
