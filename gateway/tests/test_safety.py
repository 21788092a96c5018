"""What a client must not be able to say, and what a service must not be able to do by accident."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import httpx
import pytest

from tests.support.gateway import Gateway
from tests.support.raw import Connection, exchange
from tests.support.services import Answer, Seen, Services

PRODUCTS = "/api/v1/catalog/products"

STRIPPED = [
    "X-User-Id",
    "X-User-Roles",
    "x-user-anything-new",
    "X-User",
    "X-Internal-Token",
    "X-Internal",
    "X-Service-Name",
    "X-Service",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-User",
    "X-Real-IP",
    "Forwarded",
    "Proxy",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X-Original-URL",
    "X-Original-Method",
    "X-Rewrite-URL",
    "X-Accel-Redirect",
]


@pytest.mark.parametrize("name", STRIPPED)
def test_only_the_inside_may_say(client: httpx.Client, services: Services, name: str) -> None:
    headers = [(name, "forged"), (name.upper(), "forged too"), ("X-Cart-Token", "kept")]
    assert client.post("/api/v1/cart/lines", json={}, headers=headers).status_code == 200
    assert name.lower() not in services.last.headers
    assert "forged" not in str(services.last.headers)
    assert services.last.header("x-cart-token") == "kept"
    assert services.last.method == "POST"


def test_a_header_in_disguise_is_dropped(gateway: Gateway, services: Services, address: str) -> None:
    """Python's WSGI reads X_User_Id and X-User-Id as the same."""
    head = f"GET {PRODUCTS} HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: {address}\r\n"
    assert (
        exchange(
            gateway.port, f"{head}X_User_Id: forged\r\nX_User-Id: forged\r\nX.User.Id: forged\r\n\r\n"
        ).status
        == 200
    )
    assert "forged" not in str(services.last.headers)


SAID_BY_THE_GATEWAY = [
    "X-Forwarded-Proto",
    "X-Request-Deadline",
    "Connection",
    "Keep-Alive",
    "TE",
    "Upgrade",
    "Host",
]


@pytest.mark.parametrize("name", SAID_BY_THE_GATEWAY)
def test_what_the_gateway_says_itself_replaces_what_the_client_said(
    gateway: Gateway, services: Services, address: str, name: str
) -> None:
    host = "" if name == "Host" else "Host: shop\r\n"
    exchange(
        gateway.port, f"GET {PRODUCTS} HTTP/1.1\r\n{host}X-Forwarded-For: {address}\r\n{name}: forged\r\n\r\n"
    )
    assert "forged" not in str(services.last.headers.get(name.lower()))


def test_the_service_sees_who_asked_and_how(
    client: httpx.Client, gateway: Gateway, services: Services, address: str
) -> None:
    assert client.get(PRODUCTS, headers={"X-Forwarded-Proto": "https"}).status_code == 200
    seen = services.last
    assert seen.headers["x-forwarded-for"] == [address]
    assert seen.headers["x-forwarded-proto"] == ["https"]
    assert seen.headers["host"] == [f"shop.test:{gateway.port}"]
    assert "connection" not in seen.headers


def test_what_a_storefront_says_reaches_the_service(
    client: httpx.Client, services: Services, bearer: Any
) -> None:
    told = {
        "Accept": "application/json",
        "Accept-Language": "de",
        "Content-Type": "application/json",
        "Idempotency-Key": "k-1",
        "If-Match": '"3"',
        "If-None-Match": '"4"',
        "X-Cart-Token": "abc",
        "Cookie": "refresh=x",
        "User-Agent": "shop/1.0",
        "Stripe-Signature": "t=1,v1=x",
        "tracestate": "a=b",
        "X-Sandbox-Signature": "s",
    } | bearer()
    assert client.post("/api/v1/orders", content=b"{}", headers=told).status_code == 200
    for name, value in told.items():
        assert services.last.headers[name.lower()] == [value]


SMUGGLING = {
    "length and chunked": "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    "chunked and length": "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG",
    "two lengths": "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
    "the same length twice": "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "a list of lengths": "Content-Length: 1, 1\r\n\r\nx",
    "a signed length": "Content-Length: +1\r\n\r\nx",
    "a negative length": "Content-Length: -1\r\n\r\n",
    "a length in hexadecimal": "Content-Length: 0x1\r\n\r\nx",
    "chunked twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and identity": "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "almost chunked": "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a vertical tab before chunked": "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a blank before the colon": "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded header": "X-A: b\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a header without a name": ": x\r\n\r\n",
    "a zero in a header": "X-A: b\0c\r\n\r\n",
    "a chunk of no size": "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "a chunk of a negative size": "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "a chunk larger than all": "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n\r\n",
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_a_body_of_uncertain_length_ends_the_connection(
    gateway: Gateway, services: Services, address: str, name: str
) -> None:
    head = f"POST /api/v1/cart/lines HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: {address}\r\n"
    after = f"GET {PRODUCTS}?smuggled HTTP/1.1\r\nHost: shop\r\n\r\n"
    with Connection(gateway.port) as connection:
        connection.send(head + SMUGGLING[name] + after)
        answer = connection.read()
        assert answer.status in (400, 501), answer
        assert answer.header("Content-Type") == "application/problem+json"
        assert connection.closed()
    assert services.seen == []


def test_chunks_are_not_passed_on_as_such(client: httpx.Client, services: Services) -> None:
    assert client.post("/api/v1/cart/lines", content=iter([b"{", b"}"])).status_code == 200
    assert services.last.headers["content-length"] == ["2"]
    assert "transfer-encoding" not in services.last.headers


@pytest.mark.parametrize("extension", ["x", "x=y", 'x="a;b"', "x" * 300])
def test_extensions_of_chunks_end_at_the_gateway(
    gateway: Gateway, services: Services, address: str, extension: str
) -> None:
    head = f"POST /api/v1/cart/lines HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: {address}\r\n"
    body = f"2;{extension}\r\n{{}}\r\n0;{extension}\r\n\r\n"
    with Connection(gateway.port) as connection:
        connection.send(f"{head}Transfer-Encoding: chunked\r\n\r\n{body}")
        assert connection.read().status == 200
        connection.send(f"GET {PRODUCTS}?next HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: {address}\r\n\r\n")
        assert connection.read().status == 200
    first, second = services.seen if services.seen[0].method == "POST" else reversed(services.seen)
    assert (first.body, first.header("transfer-encoding")) == (b"{}", None)
    assert second.target == f"{PRODUCTS}?next"


INJECTIONS = ["a\r\nX-User-Id: 1", "a\nX-User-Id: 1", "a\rX-User-Id: 1", "a%0d%0aX-User-Id:%201"]


@pytest.mark.parametrize("value", INJECTIONS, ids=repr)
def test_nothing_that_is_echoed_or_passed_on_can_make_a_header(
    gateway: Gateway, services: Services, address: str, value: str
) -> None:
    for name in ("X-Request-Id", "traceparent", "Origin", "If-None-Match"):
        head = f"GET {PRODUCTS} HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: {address}\r\n"
        answer = exchange(gateway.port, f"{head}{name}: {value}\r\n\r\n")
        assert answer.header("X-User-Id") is None
    answer = exchange(gateway.port, f"GET {PRODUCTS}?q=a%0d%0aX-User-Id:%201 HTTP/1.1\r\nHost: shop\r\n\r\n")
    assert answer.header("X-User-Id") is None
    assert not [seen for seen in services.seen if "x-user-id" in seen.headers]


def test_an_old_client_can_not_send_chunks(gateway: Gateway, services: Services) -> None:
    text = "POST /api/v1/cart/lines HTTP/1.0\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert exchange(gateway.port, text).status == 400
    assert services.seen == []


def answer_with(answer: Answer, _: Seen) -> Answer:
    return answer


def test_a_service_can_not_make_the_gateway_serve_a_file_or_another_path(
    client: httpx.Client, services: Services
) -> None:
    for target in ("/media/products/cup.png", "/_problem", "/nginx.conf"):
        redirect = Answer(headers={"X-Accel-Redirect": target})
        services["svc-catalog"].answer = partial(answer_with, redirect)
        answer = client.get(PRODUCTS)
        assert (answer.status_code, answer.json()) == (200, {"fine": True})
        assert "X-Accel-Redirect" not in answer.headers


def test_every_answer_carries_the_headers_that_protect_browsers(
    client: httpx.Client, services: Services
) -> None:
    services["svc-catalog"].answer = lambda _: Answer(
        headers={"X-Frame-Options": "SAMEORIGIN", "Content-Security-Policy": "x"}
    )
    for answer in (
        client.get(PRODUCTS),
        client.get("/nothing"),
        client.get("/media/products/cup.png"),
        client.get("/media/no"),
    ):
        assert answer.headers.get_list("X-Content-Type-Options") == ["nosniff"]
        assert answer.headers.get_list("X-Frame-Options") == ["DENY"]
        assert answer.headers.get_list("Referrer-Policy") == ["no-referrer"]
        (policy,) = answer.headers.get_list("Content-Security-Policy")
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "Strict-Transport-Security" not in answer.headers
    assert (
        "max-age"
        in client.get(PRODUCTS, headers={"X-Forwarded-Proto": "https"}).headers["Strict-Transport-Security"]
    )


def test_nothing_of_a_request_can_break_out_of_a_problem_document(client: httpx.Client) -> None:
    for request_id in ('"><script>', '"}{"', "a\\", "\xff"):
        answer = client.post("/api/v1/cart", headers={b"X-Request-Id": request_id.encode("latin-1")})
        document = json.loads(answer.content)
        assert document["code"] == "method_not_allowed"
        assert document["request_id"] == answer.headers["X-Request-Id"] != request_id
