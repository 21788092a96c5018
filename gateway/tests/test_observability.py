"""What can be seen of a request afterwards, and what must not be seen."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import httpx
import pytest

from tests.support import http
from tests.support.gateway import Gateway
from tests.support.raw import exchange
from tests.support.services import Services

PRODUCTS, ORDERS = "/api/v1/catalog/products", "/api/v1/orders"


def test_a_request_without_an_id_gets_one_of_its_own(client: httpx.Client, services: Services) -> None:
    found = [client.get(PRODUCTS).headers["X-Request-Id"] for _ in range(50)]
    assert all(re.fullmatch(r"[0-9a-f]{32}", value) for value in found)
    assert len(set(found)) == 50
    assert [seen.header("x-request-id") for seen in services.seen] == found


def test_ids_stay_whole_and_never_come_twice(client: httpx.Client) -> None:
    """More of them than the memory they are made in would outlive, if nobody kept hold of it."""
    found = [client.get("/healthz").headers["X-Request-Id"] for _ in range(3000)]
    assert [value for value in found if not re.fullmatch(r"[0-9a-f]{32}", value)] == []
    assert len(set(found)) == 3000


@pytest.mark.parametrize(
    "value", ["abc-123", "0198c0de-0000-7000-8000-000000000001", "A.b_c-9", "x" * 128, "1"]
)
def test_a_well_formed_id_is_kept(client: httpx.Client, services: Services, value: str) -> None:
    assert client.get(PRODUCTS, headers={"X-Request-Id": value}).headers.get_list("X-Request-Id") == [value]
    assert services.last.headers["x-request-id"] == [value]


@pytest.mark.parametrize("value", ["", "a b", "x" * 129, 'a"b', "a\\b", "<a>", "a;b", "ü", "a,b"])
def test_an_id_that_is_not_well_formed_is_replaced(
    client: httpx.Client, services: Services, value: str
) -> None:
    made = client.get(PRODUCTS, headers={b"X-Request-Id": value.encode("latin-1")}).headers["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-f]{32}", made)
    assert services.last.headers["x-request-id"] == [made]


def test_two_ids_do_not_become_one(gateway: Gateway, services: Services, address: str) -> None:
    head = f"GET {PRODUCTS} HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: {address}\r\n"
    exchange(gateway.port, f"{head}X-Request-Id: one\r\nX-Request-Id: two\r\n\r\n")
    (value,) = services.last.headers["x-request-id"]
    assert value == "one" or re.fullmatch(r"[0-9a-f]{32}", value)


@pytest.mark.parametrize("path", ["/nothing", "/api/v1//orders", "/media/none.png", "/docs", "/healthz"])
def test_answers_that_never_reach_a_service_have_an_id_too(client: httpx.Client, path: str) -> None:
    first, second = client.get(path).headers["X-Request-Id"], client.get(path).headers["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-f]{32}", first)
    assert first != second
    assert client.get(path, headers={"X-Request-Id": "mine"}).headers["X-Request-Id"] == "mine"


def test_a_trace_context_is_passed_on(client: httpx.Client, services: Services) -> None:
    context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    assert client.get(PRODUCTS, headers={"traceparent": context, "tracestate": "a=b"}).status_code == 200
    assert services.last.headers["traceparent"] == [context]
    assert services.last.headers["tracestate"] == ["a=b"]


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "rubbish",
        "00-0af7651916cd43dd8448eb211c80319c",
    ],
)
def test_a_missing_or_broken_trace_context_is_made_anew(
    client: httpx.Client, services: Services, value: str | None
) -> None:
    headers = {} if value is None else {"traceparent": value}
    made = client.get(PRODUCTS, headers=headers).headers["X-Request-Id"]
    found = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-00", services.last.header("traceparent") or "")
    assert found
    assert found[1] == made
    assert set(found[2]) != {"0"}


def test_the_access_log_tells_what_happened_and_nothing_about_people(
    gateway: Gateway, client: httpx.Client, address: str, bearer: Any
) -> None:
    mark = f"log-{uuid.uuid4()}"
    good = bearer()
    path = f"{ORDERS}/0198c0de-0000-7000-8000-00000000abcd?email=ann@example.com"
    client.get(
        path, headers=good | {"X-Request-Id": mark, "Cookie": "refresh=secret", "User-Agent": "Ann's phone"}
    )
    (entry,) = gateway.log_lines(lambda line: line["request_id"] == mark)
    assert entry["service"] == "gateway"
    assert (entry["method"], entry["route"], entry["status"]) == ("GET", "GET /api/v1/orders/{id}", 200)
    assert entry["upstream"] == "svc-orders"
    assert entry["duration"] >= 0
    assert entry["problem"] == ""
    (line,) = [text for text in (gateway.output / "access.log").read_text().splitlines() if mark in text]
    token = good["Authorization"].removeprefix("Bearer ")
    for secret in (token, token.split(".")[1], "ann@example.com", "secret", "Ann", address, "abcd"):
        assert secret not in line


NAMED_BY_THE_GATEWAY: dict[str, tuple[str, str, bytes | list[bytes] | None, int, str]] = {
    "a service answers": ("GET", f"{ORDERS}/0198c0de-0000-7000-8000-00000000abcd", None, 200, "svc-orders"),
    "a kept answer": ("GET", f"{PRODUCTS}?page_size=7", None, 200, "svc-catalog"),
    "without a body": ("HEAD", PRODUCTS, None, 200, "svc-catalog"),
    "the body comes in pieces": ("POST", ORDERS, [b"{", b"}"], 200, "svc-orders"),
    "the body is too large": ("POST", ORDERS, b"x" * 200_000, 413, "svc-orders"),
    "e-mail tried": ("POST", "/api/v1/accounts/token", b'{"email": "ann@example.com"}', 200, "svc-accounts"),
    "the gateway answers": ("GET", "/healthz", None, 200, "gateway"),
    "no route": ("GET", "/nothing", None, 404, ""),
    "a bad path": ("GET", "/api/v1//orders", None, 400, ""),
}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("case", NAMED_BY_THE_GATEWAY)
def test_client_service_and_log_hear_the_same_names(
    gateway: Gateway, client: httpx.Client, services: Services, bearer: Any, case: str, scheme: str
) -> None:
    method, path, body, status, upstream = NAMED_BY_THE_GATEWAY[case]
    headers = bearer(roles=["customer"]) | {"X-Forwarded-Proto": scheme}
    answer = client.request(
        method, path, content=iter(body) if isinstance(body, list) else body, headers=headers
    )
    assert answer.status_code == status
    (name,) = answer.headers.get_list("X-Request-Id")
    assert re.fullmatch(r"[0-9a-f]{32}", name)
    assert len(answer.headers.get_list("Strict-Transport-Security")) == (scheme == "https")
    if status >= 400:
        assert answer.json()["request_id"] == name
    for seen in services.seen:
        assert seen.headers["x-request-id"] == [name]
        assert seen.headers["traceparent"] == [f"00-{name}-{name[16:]}-00"]
        assert seen.headers["x-forwarded-proto"] == [scheme]
        (deadline,) = seen.headers["x-request-deadline"]
        assert 0 < float(deadline) - time.time() < 4
    (entry,) = gateway.log_lines(lambda line: line["request_id"] == name)
    assert (entry["trace_id"], entry["method"], entry["status"]) == (name, method, status)
    assert entry["upstream"] == upstream
    assert entry["route"] == "-" if upstream == "" else entry["route"].startswith(("GET ", "POST "))


def test_the_access_log_names_the_problem(gateway: Gateway, client: httpx.Client) -> None:
    expected = {
        "/nothing/ann@example.com": ("not_found", "-"),
        ORDERS: ("unauthorized", "GET /api/v1/orders"),
        "/media/x": ("not_found", "/media"),
    }
    marks = {path: f"log-{uuid.uuid4()}" for path in expected}
    for path, mark in marks.items():
        client.get(path, headers={"X-Request-Id": mark})
    for path, mark in marks.items():
        (entry,) = gateway.log_lines(lambda line, mark=mark: line["request_id"] == mark)
        assert (entry["problem"], entry["route"]) == expected[path]


def test_the_error_log_holds_no_token(
    gateway: Gateway, client: httpx.Client, services: Services, bearer: Any
) -> None:
    services["svc-orders"].stop()
    good = bearer()
    assert client.get(ORDERS, headers=good).status_code == 503
    token = good["Authorization"].removeprefix("Bearer ")
    assert token not in gateway.error_log()


def test_metrics_count_requests_by_route_and_status(
    gateway: Gateway, client: httpx.Client, bearer: Any
) -> None:
    name = 'gateway_requests_total{route="GET /api/v1/payments/methods",status="200"}'
    count = 'gateway_request_duration_seconds_count{route="GET /api/v1/payments/methods"}'
    before = gateway.metrics()
    for _ in range(7):
        assert client.get("/api/v1/payments/methods", headers=bearer()).status_code == 200
    expected = before.get(name, 0) + 7
    gateway.wait_for_metric(name, lambda value: value == expected)
    assert gateway.metrics()[count] == before.get(count, 0) + 7


def test_metrics_count_refusals(gateway: Gateway, client: httpx.Client) -> None:
    refused = 'gateway_tokens_total{result="not_a_jwt"}'
    before = gateway.metrics().get(refused, 0)
    for _ in range(3):
        client.get(ORDERS, headers={"Authorization": "Bearer nothing"})
    gateway.wait_for_metric(refused, lambda value: value == before + 3)


def test_a_client_can_not_make_new_metrics(gateway: Gateway, client: httpx.Client) -> None:
    for number in range(20):
        client.request(
            f"M{chr(65 + number)}", f"/unknown-{number}", headers={"Authorization": f"Bearer {number}"}
        )
    gateway.wait_for_metric('gateway_requests_total{route="-",status="404"}', lambda value: value >= 20)
    assert not [name for name in gateway.metrics() if "unknown-" in name]


def test_metrics_are_on_the_listener_of_this_machine_only(gateway: Gateway, client: httpx.Client) -> None:
    assert client.get("/metrics").status_code == 404
    answer = http.get(f"{gateway.admin_url}/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "# TYPE gateway_requests_total counter" in answer.text
    assert http.get(f"{gateway.admin_url}/api/v1/catalog/products").status_code == 404
    assert http.get(f"{gateway.admin_url}/upstream/svc-orders/api/v1/orders").status_code == 404


def test_the_inner_listener_tells_version_and_routes(gateway: Gateway, client: httpx.Client) -> None:
    manifest = http.get(f"{gateway.admin_url}/internal/v1/manifest").json()

    assert (manifest["service"], manifest["version"]) == ("gateway", "dev")
    assert {"method": "GET", "path": PRODUCTS, "service": "svc-catalog", "auth": "public"} in manifest[
        "routes"
    ]
    assert client.get("/internal/v1/manifest").status_code == 404
