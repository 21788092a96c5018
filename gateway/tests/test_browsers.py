"""CORS: the storefront's origins may call and read, others may not."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.services import Answer, Services

STOREFRONT = "http://localhost:3000"
ALLOWED = [STOREFRONT, "https://shop.example.com"]
FOREIGN = [
    "https://evil.example",
    "null",
    "http://localhost:30000",
    "https://localhost:3000",
    "https://shop.example.com.evil.example",
    "https://xshop.example.com",
    "https://shop.example.com/",
    "HTTPS://SHOP.EXAMPLE.COM.",
]
PRODUCTS = "/api/v1/catalog/products"


@pytest.mark.parametrize("origin", ALLOWED)
def test_an_allowed_origin_may_read_answers_and_the_headers_that_matter(
    client: httpx.Client, services: Services, origin: str
) -> None:
    services["svc-catalog"].answer = lambda _: Answer(headers={"Access-Control-Allow-Origin": "*"})
    for path in (PRODUCTS, "/api/v1/orders", "/nothing", "/docs"):
        answer = client.get(path, headers={"Origin": origin})
        assert answer.headers.get_list("Access-Control-Allow-Origin") == [origin]
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        exposed = {name.strip() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
        assert exposed >= {
            "ETag",
            "Retry-After",
            "RateLimit",
            "X-Cart-Token",
            "X-Request-Id",
            "Idempotent-Replayed",
            "X-Cache",
        }
        assert "Origin" in ", ".join(answer.headers.get_list("Vary"))


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_foreign_origin_learns_nothing(client: httpx.Client, services: Services, origin: str) -> None:
    services["svc-catalog"].answer = lambda _: Answer(headers={"Access-Control-Allow-Origin": "*"})
    answer = client.get(PRODUCTS, headers={"Origin": origin})
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert "Origin" in ", ".join(answer.headers.get_list("Vary"))


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/api/v1/orders", "GET, HEAD, POST, OPTIONS"),
        ("/api/v1/cart/lines/1", "PATCH, DELETE, OPTIONS"),
        ("/api/v1/accounts/token", "POST, OPTIONS"),
    ],
)
def test_a_preflight_is_answered_at_the_edge_and_needs_no_token(
    client: httpx.Client, services: Services, path: str, methods: str
) -> None:
    asked = {
        "Origin": STOREFRONT,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    answer = client.options(path, headers=asked)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == STOREFRONT
    assert answer.headers["Access-Control-Allow-Methods"] == methods
    allowed = answer.headers["Access-Control-Allow-Headers"].lower()
    for name in (
        "authorization",
        "content-type",
        "idempotency-key",
        "if-match",
        "x-cart-token",
        "accept-language",
    ):
        assert name in allowed
    assert int(answer.headers["Access-Control-Max-Age"]) > 0
    assert services.seen == []


def test_a_preflight_of_a_foreign_origin_allows_nothing(client: httpx.Client) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = client.options("/api/v1/orders", headers=asked)
    assert answer.status_code == 204
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_options_outside_a_browser_names_the_methods(client: httpx.Client) -> None:
    answer = client.options("/api/v1/orders")
    assert (answer.status_code, answer.headers["Allow"]) == (204, "GET, HEAD, POST, OPTIONS")
    assert client.options("/nothing").status_code == 404


def test_an_error_can_be_read_by_the_storefront_too(client: httpx.Client, bearer: Any) -> None:
    answer = client.get("/api/v1/orders", headers={"Origin": STOREFRONT, "Authorization": "Bearer x"})
    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == STOREFRONT
