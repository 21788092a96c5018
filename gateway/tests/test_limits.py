"""How much one user, one address and one e-mail address may ask for."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import http
from tests.support.gateway import Gateway
from tests.support.problems import assert_problem
from tests.support.raw import Connection, RawAnswer
from tests.support.services import Services
from tests.support.tokens import Key, access_token

PRODUCTS, ORDERS, TOKEN = "/api/v1/catalog/products", "/api/v1/orders", "/api/v1/accounts/token"


def burst(port: int, count: int, path: str, header: Callable[[int], str]) -> list[RawAnswer]:
    """Requests in one go on one connection, so that next to no time passes between them."""
    with Connection(port) as connection:
        connection.send(
            "".join(f"GET {path} HTTP/1.1\r\nHost: shop\r\n{header(index)}\r\n" for index in range(count))
        )
        return [connection.read() for _ in range(count)]


def statuses(answers: list[RawAnswer]) -> list[int]:
    return [answer.status for answer in answers]


def test_an_address_may_ask_a_hundred_times_at_once(
    gateway: Gateway, services: Services, address: str
) -> None:
    answers = burst(gateway.port, 130, PRODUCTS, lambda _: f"X-Forwarded-For: {address}\r\n")
    passed = statuses(answers).count(200)
    assert 100 <= passed < 130
    assert statuses(answers).count(429) == 130 - passed
    assert len(services.seen) == passed


def test_a_user_may_ask_forty_times_at_once_whatever_the_address(
    gateway: Gateway, services: Services, key: Key
) -> None:
    token = access_token(key)
    answers = burst(
        gateway.port,
        60,
        ORDERS,
        lambda index: f"X-Forwarded-For: 100.66.1.{index + 1}\r\nAuthorization: Bearer {token}\r\n",
    )
    assert 40 <= statuses(answers).count(200) < 60
    assert json.loads(answers[-1].body)["limit"] == "user"
    other = http.get(
        f"{gateway.url}{ORDERS}",
        headers={"X-Forwarded-For": "100.66.1.1", "Authorization": f"Bearer {access_token(key)}"},
    )
    assert other.status_code == 200


def test_over_the_limit_is_a_problem_that_says_when_to_come_back(
    client: httpx.Client, gateway: Gateway, address: str
) -> None:
    burst(gateway.port, 125, PRODUCTS, lambda _: f"X-Forwarded-For: {address}\r\n")
    answers = [client.get(PRODUCTS) for _ in range(20)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert_problem(refused[0], 429, "rate_limited")
    assert refused[0].headers["Retry-After"] == "1"
    assert refused[0].headers["RateLimit"] == '"address";r=0;t=1'
    time.sleep(1.05)
    assert client.get(PRODUCTS).status_code == 200


def test_the_headers_tell_the_policies_and_the_tightest_one(client: httpx.Client, bearer: Any) -> None:
    public = client.get(PRODUCTS)
    assert public.headers["RateLimit-Policy"] == '"address";q=100;w=2'
    assert re.fullmatch(r'"address";r=9\d;t=1', public.headers["RateLimit"])
    good = bearer()
    first, second = client.get(ORDERS, headers=good), client.get(ORDERS, headers=good)
    assert first.headers["RateLimit-Policy"] == '"address";q=100;w=2, "user";q=40;w=2'
    assert first.headers["RateLimit"] == '"user";r=39;t=1'
    assert second.headers["RateLimit"] in ('"user";r=38;t=1', '"user";r=39;t=1')
    assert "RateLimit" not in client.get("/healthz").headers


def test_who_is_refused_hears_the_policies_too(client: httpx.Client, bearer: Any) -> None:
    stranger = client.get(ORDERS)
    customer = client.get("/api/v1/orders/admin", headers=bearer())
    for refused, status in ((stranger, 401), (customer, 403)):
        assert refused.status_code == status
        assert refused.headers["RateLimit-Policy"] == '"address";q=100;w=2, "user";q=40;w=2'


def test_two_workers_together_let_through_what_the_limit_says(
    gateway: Gateway, services: Services, address: str
) -> None:
    request = f"GET {PRODUCTS} HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: {address}\r\n\r\n"
    with ExitStack() as stack:
        connections = [stack.enter_context(Connection(gateway.port)) for _ in range(8)]

        def ask() -> list[int]:
            for connection in connections:
                connection.send(request * 5)
            return [connection.read().status for connection in connections for _ in range(5)]

        began = time.monotonic()
        burst = [status for _ in range(4) for status in ask()]
        drained, found = time.monotonic(), list[int]()
        while (elapsed := time.monotonic() - drained) < 3:
            found += ask()
            time.sleep(0.02)  # a connection is good for a thousand requests
    assert 100 <= burst.count(200) <= 104 + 50 * (drained - began)
    expected = 50 * elapsed
    assert found.count(429) > 3 * expected
    assert abs(found.count(200) - expected) / expected < 0.03


def test_bad_tokens_count_for_their_address(gateway: Gateway, services: Services, address: str) -> None:
    answers = burst(
        gateway.port,
        130,
        ORDERS,
        lambda index: f"X-Forwarded-For: {address}\r\nAuthorization: Bearer a.b.c{index}\r\n",
    )
    assert statuses(answers).count(401) < 130
    assert statuses(answers)[-1] == 429
    assert services.seen == []


def test_an_address_may_sign_in_ten_times_a_minute(client: httpx.Client, services: Services) -> None:
    answers = [
        client.post(TOKEN, json={"email": f"{uuid.uuid4()}@example.com", "password": "x"}) for _ in range(12)
    ]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 2
    assert len(services.seen) == 10
    document = assert_problem(answers[-1], 429, "rate_limited")
    assert document["limit"] == "login"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 6
    assert client.get(PRODUCTS).status_code == 200


def test_an_email_may_be_tried_five_times_a_minute_from_wherever(
    gateway: Gateway, services: Services
) -> None:
    name = uuid.uuid4().hex
    spellings = [
        f"{name}@example.com",
        f"{name.upper()}@Example.com",
        f"  {name}@example.com ",
        f"{name}@EXAMPLE.COM\n",
    ]
    found = []
    for index in range(8):
        headers = {"X-Forwarded-For": f"100.66.2.{index + 1}"}
        body = {"email": spellings[index % 4], "password": f"guess {index}"}
        found.append(http.post(f"{gateway.url}{TOKEN}", json=body, headers=headers).status_code)
    assert found == [200] * 5 + [429] * 3
    body = {"email": f"other-{name}@example.com", "password": "x"}
    assert (
        http.post(f"{gateway.url}{TOKEN}", json=body, headers={"X-Forwarded-For": "100.66.2.9"}).status_code
        == 200
    )


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"email": 5}', b'{"email": null}', b"email=a@b.c", b"\xff\xfe", b"[" * 4000]
)
def test_a_sign_in_that_makes_no_sense_is_left_to_the_service(
    client: httpx.Client, services: Services, body: bytes
) -> None:
    assert client.post(TOKEN, content=body).status_code == 200
    assert services.last.body == body


def test_an_address_may_register_ten_times_a_minute(client: httpx.Client) -> None:
    found = [
        client.post("/api/v1/accounts/register", json={"email": f"{n}@example.com"}).status_code
        for n in range(12)
    ]
    assert found == [200] * 10 + [429] * 2


def test_webhooks_of_a_provider_have_room(gateway: Gateway, services: Services, address: str) -> None:
    head = f"POST /api/v1/payments/webhooks/sandbox HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: {address}\r\n"
    with Connection(gateway.port) as connection:
        connection.send(f"{head}Content-Length: 2\r\n\r\n{{}}" * 300)
        assert {connection.read().status for _ in range(300)} == {200}


def test_a_client_can_not_choose_its_address(gateway: Gateway, services: Services, address: str) -> None:
    """Only the rightmost hop that is no trusted proxy counts; what stands left of it is what the client claims."""
    answers = burst(
        gateway.port,
        130,
        PRODUCTS,
        lambda index: f"X-Forwarded-For: 8.8.{index}.1, {address}, 192.168.0.9\r\n",
    )
    assert statuses(answers).count(200) < 130
    assert {seen.header("x-forwarded-for") for seen in services.seen} == {address}


def test_an_address_that_is_none_does_not_free_a_client(gateway: Gateway, services: Services) -> None:
    answers = burst(
        gateway.port, 130, PRODUCTS, lambda index: f"X-Forwarded-For: unknown-{index}, 127.0.0.7\r\n"
    )
    assert statuses(answers).count(200) < 130


def test_a_whole_ipv6_network_counts_as_one_address(gateway: Gateway, services: Services) -> None:
    answers = burst(
        gateway.port, 130, PRODUCTS, lambda index: f"X-Forwarded-For: 2001:db8:1:2:{index:x}::1\r\n"
    )
    assert statuses(answers).count(200) < 130
    answers = burst(
        gateway.port, 130, PRODUCTS, lambda index: f"X-Forwarded-For: 2001:db8:2:{index:x}::1\r\n"
    )
    assert statuses(answers) == [200] * 130


@pytest.fixture
def distrustful(tmp_path: Path, environment: dict[str, str], services: Services) -> Iterator[Gateway]:
    limits = {
        "GATEWAY_LIMIT_LOGIN": "2/60s burst 2",
        "GATEWAY_LIMIT_LOGIN_EMAIL": "off",
        "GATEWAY_LIMIT_USER": "1/1s burst 3",
    }
    gateway = Gateway(tmp_path, environment | limits | {"TRUSTED_PROXIES": "none"}).start()
    gateway.wait_until_keys_are_read()
    yield gateway
    gateway.stop()


def test_without_trusted_proxies_x_forwarded_for_means_nothing_and_the_environment_sets_limits(
    distrustful: Gateway, services: Services, key: Key
) -> None:
    found = []
    for index in range(3):
        headers = {"X-Forwarded-For": f"100.66.3.{index + 1}", "X-Forwarded-Proto": "https"}
        body = {"email": "one@example.com", "password": "x"}
        found.append(http.post(f"{distrustful.url}{TOKEN}", json=body, headers=headers).status_code)
    assert found == [200, 200, 429]
    assert {seen.header("x-forwarded-for") for seen in services.seen} == {"127.0.0.1"}
    assert {seen.header("x-forwarded-proto") for seen in services.seen} == {"http"}
    token = access_token(key)
    answers = burst(distrustful.port, 5, ORDERS, lambda _: f"Authorization: Bearer {token}\r\n")
    assert statuses(answers) == [200, 200, 200, 429, 429]
