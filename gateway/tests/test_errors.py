"""Everything the gateway says by itself is a problem document; what a service says passes unchanged."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import httpx
import pytest

from tests.support.gateway import Gateway
from tests.support.problems import assert_problem
from tests.support.raw import Connection, exchange
from tests.support.services import Answer, Services

PRODUCTS = "/api/v1/catalog/products"
ID = "0198c0de-0000-7000-8000-000000000001"


def test_a_service_that_can_not_be_reached_is_503(client: httpx.Client, services: Services) -> None:
    services["svc-catalog"].stop()
    answer = client.get(PRODUCTS)
    assert_problem(answer, 503, "service_unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert client.get("/api/v1/cart").status_code == 200
    services["svc-catalog"].start()
    assert client.get(PRODUCTS).status_code == 200


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n"])
def test_an_answer_that_can_not_be_used_is_502(client: httpx.Client, services: Services, raw: bytes) -> None:
    services["svc-catalog"].answer = lambda _: Answer(raw=raw)
    assert_problem(client.get(PRODUCTS), 502, "bad_gateway")


def test_a_service_that_is_late_is_504_in_time(client: httpx.Client, services: Services) -> None:
    services["svc-catalog"].answer = lambda _: Answer(delay=2.5)
    began = time.monotonic()
    assert_problem(client.get(PRODUCTS), 504, "gateway_timeout")
    assert 1.8 < time.monotonic() - began < 2.5


def test_a_long_route_may_take_longer(client: httpx.Client, services: Services, bearer: Any) -> None:
    services["svc-orders"].answer = lambda _: Answer(delay=2.3)
    before = time.time()
    assert client.get(f"/api/v1/orders/{ID}/invoice", headers=bearer()).status_code == 200
    assert services.last.target == f"/api/v1/orders/{ID}/invoice"
    assert 2.5 < float(services.last.header("x-request-deadline") or 0) - before < 3.5


def test_the_service_learns_its_deadline(client: httpx.Client, services: Services) -> None:
    before = time.time()
    assert client.get(PRODUCTS, headers={"X-Request-Deadline": "9999999999"}).status_code == 200
    assert 0.8 < float(services.last.header("x-request-deadline") or 0) - before < 1.5


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_write_that_broke_off_is_never_sent_again(
    client: httpx.Client, services: Services, bearer: Any, method: str
) -> None:
    path = "/api/v1/orders" if method == "POST" else f"/api/v1/catalog/variants/{ID}"
    service = services["svc-orders" if method == "POST" else "svc-catalog"]
    headers = bearer(roles=["seller"])
    for _ in range(5):  # so that there are kept connections
        assert client.get("/api/v1/orders", headers=headers).status_code == 200
        assert client.get(PRODUCTS).status_code == 200
    services.reset()
    service.answer = lambda _: Answer(raw=b"")
    assert_problem(client.request(method, path, json={}, headers=headers), 502, "bad_gateway")
    assert len(services.seen) == 1


def test_a_write_that_timed_out_is_never_sent_again(
    client: httpx.Client, services: Services, bearer: Any
) -> None:
    services["svc-orders"].answer = lambda _: Answer(delay=2.5)
    assert_problem(client.post("/api/v1/orders", json={}, headers=bearer()), 504, "gateway_timeout")
    time.sleep(0.3)
    assert len(services.seen) == 1


def test_reads_survive_the_restart_of_a_service(client: httpx.Client, services: Services) -> None:
    """Kept connections are dead afterwards; a GET on one is sent once more on another."""
    for _ in range(5):
        assert client.get(PRODUCTS).status_code == 200
    services["svc-catalog"].stop()
    services["svc-catalog"].start()
    assert [client.get(PRODUCTS).status_code for _ in range(5)] == [200] * 5


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (422, {"code": "validation_failed", "errors": [{"field": "a", "code": "b", "detail": "c"}]}, {}),
        (402, {"code": "card_declined"}, {}),
        (409, {"code": "out_of_stock", "lines": []}, {}),
        (404, {"code": "variant_not_found"}, {}),
        (401, {"code": "invalid_credentials"}, {"WWW-Authenticate": "Bearer"}),
        (429, {"code": "rate_limited"}, {"Retry-After": "7"}),
        (500, {"code": "internal_error"}, {}),
        (503, {"code": "service_unavailable"}, {"Retry-After": "2"}),
    ],
    ids=str,
)
def test_what_a_service_says_passes_unchanged(
    client: httpx.Client, services: Services, status: int, body: dict[str, Any], headers: dict[str, str]
) -> None:
    content_type = {"Content-Type": "application/problem+json", "Cache-Control": "private, no-store"}
    services["svc-catalog"].answer = lambda _: Answer(
        status, content_type | headers, json.dumps(body).encode()
    )
    answer = client.get(PRODUCTS)
    assert (answer.status_code, answer.json()) == (status, body)
    assert answer.headers.get_list("Content-Type") == ["application/problem+json"]
    assert answer.headers.get_list("Cache-Control") == ["private, no-store"]
    for name, value in headers.items():
        assert answer.headers[name] == value


def test_what_a_service_says_about_its_resource_passes(client: httpx.Client, services: Services) -> None:
    told = {
        "ETag": 'W/"7"',
        "Cache-Control": "public, max-age=0, s-maxage=60",
        "X-Cart-Token": "abc",
        "Location": "/api/v1/orders/1",
        "Idempotent-Replayed": "true",
        "Set-Cookie": "refresh=x; HttpOnly; SameSite=Strict",
        "Content-Language": "de",
        "Vary": "Accept-Language",
    }
    services["svc-catalog"].answer = lambda _: Answer(headers=told)
    answer = client.get(PRODUCTS)
    for name, value in told.items():
        assert value in answer.headers.get_list(name)


def test_a_body_over_the_limit_of_its_route_is_413(client: httpx.Client, services: Services) -> None:
    path = "/api/v1/accounts/token/refresh"
    assert client.post(path, content=b"x" * 8192).status_code == 200
    services.reset()
    assert_problem(client.post(path, content=b"x" * 8193), 413, "payload_too_large")
    assert_problem(client.post(path, content=iter([b"x" * 5000, b"x" * 5000])), 413, "payload_too_large")
    assert services.seen == []


def test_a_chunked_body_within_the_limit_arrives_whole(client: httpx.Client, services: Services) -> None:
    assert (
        client.post("/api/v1/accounts/token/refresh", content=iter([b"x" * 3000, b"y" * 3000])).status_code
        == 200
    )
    assert services.last.body == b"x" * 3000 + b"y" * 3000


def test_no_body_is_larger_than_the_gateway_allows_at_all(
    gateway: Gateway, services: Services, address: str
) -> None:
    head = f"POST /api/v1/cart/lines HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: {address}\r\nContent-Length: 99999999999\r\n\r\n"
    answer = exchange(gateway.port, head)
    assert answer.status == 413
    assert json.loads(answer.body)["code"] == "payload_too_large"
    assert services.seen == []


BAD_REQUESTS = {
    "no request at all": ("GARBAGE\r\n\r\n", 400, "bad_request"),
    "no host": (f"GET {PRODUCTS} HTTP/1.1\r\n\r\n", 400, "bad_request"),
    "two hosts": (f"GET {PRODUCTS} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_request"),
    "a host that is none": (f"GET {PRODUCTS} HTTP/1.1\r\nHost: a/../b\r\n\r\n", 400, "bad_request"),
    "a blank in the path": ("GET /api/v1/cart lines HTTP/1.1\r\nHost: shop\r\n\r\n", 400, "bad_request"),
    "HTTP/9.9": (f"GET {PRODUCTS} HTTP/9.9\r\nHost: shop\r\n\r\n", 505, "http_version_not_supported"),
    "an address too long": (
        f"GET {PRODUCTS}?q={'x' * 13000} HTTP/1.1\r\nHost: shop\r\n\r\n",
        414,
        "uri_too_long",
    ),
    "a header too long": (
        f"GET {PRODUCTS} HTTP/1.1\r\nHost: shop\r\nX-Long: {'x' * 13000}\r\n\r\n",
        431,
        "headers_too_large",
    ),
    "headers too many": (
        f"GET {PRODUCTS} HTTP/1.1\r\nHost: shop\r\n{''.join(f'X-{n}: 1{chr(13)}{chr(10)}' for n in range(101))}\r\n",
        431,
        "headers_too_large",
    ),
    "headers too large together": (
        f"GET {PRODUCTS} HTTP/1.1\r\nHost: shop\r\n{''.join(f'X-{n}: {chr(120) * 11000}{chr(13)}{chr(10)}' for n in range(9))}\r\n",
        431,
        "headers_too_large",
    ),
    "an encoding that nobody knows": (
        "POST /api/v1/cart/lines HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: gzip\r\n\r\n",
        501,
        "not_implemented",
    ),
    "CONNECT": ("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", None, None),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_a_request_that_nginx_refuses_is_answered_with_a_problem_too(
    gateway: Gateway, services: Services, name: str
) -> None:
    text, status, code = BAD_REQUESTS[name]
    answer = exchange(gateway.port, text)
    document = json.loads(answer.body)
    if status:
        assert (answer.status, document["code"], document["status"]) == (status, code, status)
    else:
        assert answer.status in (400, 405)
    assert answer.header("Content-Type") == "application/problem+json"
    assert answer.header("X-Request-Id") == document["request_id"]
    assert b"nginx" not in answer.body
    assert services.seen == []


def test_no_version_is_told(client: httpx.Client) -> None:
    for answer in (client.get(PRODUCTS), client.get("/nothing")):
        assert answer.headers["Server"] == "nginx"
        assert "X-Powered-By" not in answer.headers


def test_a_client_that_hangs_up_costs_nobody_else(gateway: Gateway, client: httpx.Client) -> None:
    cut_off = "POST /api/v1/cart/lines HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{"
    for text in ("GET /api", f"GET {PRODUCTS} HTTP/1.1\r\nHost:", cut_off):
        with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
            connection.sendall(text.encode())
    assert client.get(PRODUCTS).status_code == 200


def test_a_refused_body_is_not_read_as_the_next_request(
    gateway: Gateway, services: Services, address: str
) -> None:
    """The body of a request that was answered early must never become a request of its own."""
    hidden = "GET /api/v1/cart HTTP/1.1\r\nHost: shop\r\n\r\n"
    head = f"POST /api/v1/orders HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: {address}\r\n"
    refused = f"{head}Content-Length: {len(hidden)}\r\n\r\n{hidden}"
    for path in ("/api/v1/orders", "/nothing", "/api/v1/accounts/me/", "/media/x.png"):
        services.reset()
        with Connection(gateway.port) as connection:
            connection.send(refused.replace("/api/v1/orders", path))
            assert connection.read().status in (401, 404, 405)
            connection.send(f"GET {PRODUCTS} HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: {address}\r\n\r\n")
            assert connection.read().status == 200
        assert [seen.target for seen in services.seen] == [PRODUCTS]
