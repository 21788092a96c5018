"""Every path of the public contract reaches its service, and nothing else does."""

from __future__ import annotations

import string
from typing import Any

import httpx
import pytest

from tests.support.gateway import Gateway
from tests.support.problems import assert_problem
from tests.support.raw import Connection, exchange
from tests.support.services import Answer, Services

ID = "0198c0de-0000-7000-8000-000000000001"

# The public contract: method, path below /api/v1, who may (a role, or the auth mode), which service.
CONTRACT = """
POST   /accounts/register                            public    svc-accounts
POST   /accounts/token?cookie=true                   public    svc-accounts
POST   /accounts/token/refresh                       public    svc-accounts
POST   /accounts/token/revoke                        public    svc-accounts
GET    /accounts/me                                  required  svc-accounts
PATCH  /accounts/me                                  required  svc-accounts
DELETE /accounts/me                                  required  svc-accounts
GET    /accounts/me/export                           required  svc-accounts
GET    /accounts/me/addresses                        required  svc-accounts
POST   /accounts/me/addresses                        required  svc-accounts
GET    /accounts/me/addresses/{id}                   required  svc-accounts
PATCH  /accounts/me/addresses/{id}                   required  svc-accounts
DELETE /accounts/me/addresses/{id}                   required  svc-accounts
GET    /accounts/me/sessions                         required  svc-accounts
DELETE /accounts/me/sessions/{id}                    required  svc-accounts
POST   /accounts/me/mfa/totp                         required  svc-accounts
DELETE /accounts/me/mfa/totp                         required  svc-accounts
POST   /accounts/me/mfa/totp/confirm                 required  svc-accounts
POST   /accounts/email/verify                        public    svc-accounts
POST   /accounts/email/verify/resend                 public    svc-accounts
POST   /accounts/password/forgot                     public    svc-accounts
POST   /accounts/password/reset                      public    svc-accounts
POST   /accounts/password/change                     required  svc-accounts
GET    /accounts/users?q=ann                         staff     svc-accounts
PATCH  /accounts/users/{id}                          staff     svc-accounts
POST   /accounts/users/{id}/deactivate               staff     svc-accounts
GET    /catalog/categories                           public    svc-catalog
POST   /catalog/categories                           staff     svc-catalog
PATCH  /catalog/categories/{id}                      staff     svc-catalog
GET    /catalog/categories/kitchen                   public    svc-catalog
GET    /catalog/products?q=cup&sort=-price           public    svc-catalog
POST   /catalog/products                             seller    svc-catalog
GET    /catalog/products/blue-cup                    public    svc-catalog
PATCH  /catalog/products/{id}                        seller    svc-catalog
DELETE /catalog/products/{id}                        staff     svc-catalog
POST   /catalog/products/{id}/images                 seller    svc-catalog
POST   /catalog/products/{id}/variants               seller    svc-catalog
POST   /catalog/variants/{id}/stock                  seller    svc-catalog
PATCH  /catalog/variants/{id}                        seller    svc-catalog
GET    /catalog/suggest?q=cu                         public    svc-catalog
GET    /catalog/products/{id}/reviews                public    svc-catalog
POST   /catalog/products/{id}/reviews                required  svc-catalog
PATCH  /catalog/products/{id}/reviews/{id}           required  svc-catalog
DELETE /catalog/products/{id}/reviews/{id}           required  svc-catalog
POST   /catalog/products/{id}/reviews/{id}/helpful   required  svc-catalog
GET    /catalog/posts                                public    svc-catalog
POST   /catalog/posts                                required  svc-catalog
GET    /catalog/posts/{id}                           public    svc-catalog
POST   /catalog/posts/{id}/like                      required  svc-catalog
GET    /catalog/posts/{id}/comments                  public    svc-catalog
POST   /catalog/posts/{id}/comments                  required  svc-catalog
POST   /catalog/imports                              seller    svc-catalog
GET    /catalog/imports/{id}                         seller    svc-catalog
GET    /catalog/export                               seller    svc-catalog
GET    /cart                                         optional  svc-cart
DELETE /cart                                         optional  svc-cart
POST   /cart/lines                                   optional  svc-cart
PATCH  /cart/lines/{id}                              optional  svc-cart
DELETE /cart/lines/{id}                              optional  svc-cart
POST   /cart/merge                                   required  svc-cart
POST   /cart/coupons                                 optional  svc-cart
DELETE /cart/coupons/SPRING                          optional  svc-cart
GET    /cart/admin/coupons                           staff     svc-cart
PATCH  /cart/admin/coupons/{id}                      staff     svc-cart
GET    /cart/wishlist                                required  svc-cart
POST   /cart/wishlist                                required  svc-cart
DELETE /cart/wishlist/{id}                           required  svc-cart
GET    /orders/shipping-methods?country=GB           public    svc-orders
POST   /orders/quote                                 required  svc-orders
POST   /orders                                       required  svc-orders
GET    /orders                                       required  svc-orders
GET    /orders/{id}                                  required  svc-orders
POST   /orders/{id}/payments                         required  svc-orders
POST   /orders/{id}/cancel                           required  svc-orders
GET    /orders/{id}/invoice                          required  svc-orders
POST   /orders/{id}/returns                          required  svc-orders
GET    /orders/{id}/returns                          required  svc-orders
GET    /orders/admin                                 seller    svc-orders
GET    /orders/admin/{id}                            staff     svc-orders
POST   /orders/{id}/ship                             seller    svc-orders
POST   /orders/{id}/deliver                          staff     svc-orders
POST   /orders/{id}/refund                           staff     svc-orders
POST   /orders/returns/{id}/approve                  staff     svc-orders
POST   /orders/returns/{id}/reject                   staff     svc-orders
POST   /orders/returns/{id}/receive                  staff     svc-orders
GET    /payments/methods                             required  svc-payments
GET    /payments/{id}                                required  svc-payments
POST   /payments/{id}/confirm                        required  svc-payments
POST   /payments/webhooks/sandbox                    public    svc-payments
GET    /notifications?unread=true                    required  svc-notifications
POST   /notifications/{id}/read                      required  svc-notifications
POST   /notifications/read-all                       required  svc-notifications
GET    /notifications/preferences                    required  svc-notifications
PUT    /notifications/preferences                    required  svc-notifications
GET    /notifications/push/key                       required  svc-notifications
POST   /notifications/push/subscriptions             required  svc-notifications
DELETE /notifications/push/subscriptions             required  svc-notifications
POST   /notifications/stream-ticket                  required  svc-notifications
GET    /notifications/webhooks                       seller    svc-notifications
POST   /notifications/webhooks                       seller    svc-notifications
DELETE /notifications/webhooks/{id}                  staff     svc-notifications
"""
ROWS = [line.split() for line in CONTRACT.strip().splitlines()]


@pytest.mark.parametrize(
    ("method", "path", "who", "service"), ROWS, ids=[f"{row[0]} {row[1]}" for row in ROWS]
)
def test_the_contract_reaches_its_service(
    client: httpx.Client, services: Services, bearer: Any, method: str, path: str, who: str, service: str
) -> None:
    target = "/api/v1" + path.replace("{id}", ID)
    roles = [who] if who in ("seller", "staff") else ["customer"]
    headers = {} if who in ("public", "optional") else bearer(roles=roles)
    answer = client.request(method, target, headers=headers)
    assert answer.status_code == 200, answer.text
    assert (services.last.service, services.last.method, services.last.target) == (service, method, target)
    if who in ("seller", "staff"):
        assert_problem(
            client.request(method, target, headers=bearer(roles=["customer"])), 403, "permission_denied"
        )
        assert client.request(method, target, headers=bearer(roles=["admin"])).status_code == 200
    if who not in ("public", "optional"):
        assert_problem(client.request(method, target), 401, "unauthorized")


def test_the_key_set_is_public(client: httpx.Client) -> None:
    assert client.get("/.well-known/jwks.json").json()["keys"][0]["crv"] == "P-256"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v1/nothing",
        "/api/v2/orders",
        "/api/v1/orders/",
        "/api/v1/orders/1/nothing",
        "/api/v1/catalog/products/1/",
        "/API/v1/orders",
        "/admin",
        "/static/x.css",
        "/favicon.ico",
        "/api/v1/orders/shipping-methods/cancel",
        "/_problem",
        "/upstream/svc-accounts/readyz",
        "/ws",
    ],
)
def test_an_unknown_path_is_404_and_never_a_redirect(
    client: httpx.Client, services: Services, path: str
) -> None:
    assert_problem(client.get(path), 404, "not_found")
    assert services.seen == []


@pytest.mark.parametrize(
    "path",
    [
        "/internal",
        "/internal/v1/manifest",
        "/internal/v1/carts/1",
        "/api/v1/internal/v1/manifest",
        "/metrics",
        "/api/v1/metrics",
        "/api/v1/catalog/internal",
        "/api/v1/accounts/internal/v1/users/1",
        "/internal/v1/openapi.json",
    ],
)
def test_what_is_inside_can_not_be_reached(
    client: httpx.Client, services: Services, bearer: Any, path: str
) -> None:
    assert_problem(client.get(path, headers=bearer(roles=["admin"])), 404, "not_found")
    assert services.seen == []


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/api/v1/orders", "GET, HEAD, POST, OPTIONS"),
        ("PUT", f"/api/v1/orders/{ID}", "GET, HEAD, OPTIONS"),
        ("GET", "/api/v1/accounts/token", "POST, OPTIONS"),
        ("PATCH", "/api/v1/catalog/products", "GET, HEAD, POST, OPTIONS"),
        ("POST", "/healthz", "GET, HEAD, OPTIONS"),
        ("PROPFIND", "/api/v1/cart", "GET, HEAD, DELETE, OPTIONS"),
        ("BREW", "/api/v1/cart", "GET, HEAD, DELETE, OPTIONS"),
        ("POST", "/media/products/cup.png", "GET, HEAD"),
        ("DELETE", "/docs", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_405_and_names_the_right_ones(
    client: httpx.Client, services: Services, bearer: Any, method: str, path: str, allow: str
) -> None:
    answer = client.request(method, path, headers=bearer())
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == allow
    assert services.seen == []


def test_trace_is_refused(gateway: Gateway) -> None:
    answer = exchange(gateway.port, "TRACE /api/v1/cart HTTP/1.1\r\nHost: shop\r\nCookie: secret\r\n\r\n")
    assert answer.status == 405
    assert answer.header("Content-Type") == "application/problem+json"
    assert b"secret" not in answer.body


def test_head_is_answered_like_get_without_a_body(client: httpx.Client, services: Services) -> None:
    answer = client.head("/api/v1/orders/shipping-methods")
    assert (answer.status_code, answer.content) == (200, b"")
    assert services.last.method == "HEAD"


MALFORMED = [
    "/api/v1/orders%00",
    "/api/v1/orders/%00",
    "/api/v1/../internal/v1/manifest",
    "/api/v1/orders/..",
    "/api/v1/./orders",
    "/api/v1/orders/.",
    "//api/v1/orders",
    "/api/v1//orders",
    "/api/v1/orders//",
    "/api/v1/orders/%2e%2e/internal",
    "/api/v1/orders/%2E%2E%2Finternal",
    "/api/v1/orders/a%2fb",
    "/api/v1/orders/a%2Fb",
    "/api/v1/orders/a%5cb",
    "/api/v1/orders/a\\b",
    "/api/v1/orders/%",
    "/api/v1/orders/%4",
    "/api/v1/orders/%zz",
    "/api/v1/orders/%0d%0aX-User-Id:1",
    "/api/v1/orders/%7f",
    "/api/v1/orders/%252e%2e",
    "/api/v1/orders/\xe9",
    "/api/v1/orders/a<b",
    "/api/v1/orders#x",
    "/media/../nginx.conf",
    "/media/%2e%2e/nginx.conf",
    "/media//products/cup.png",
    "/media/..%2fnginx.conf",
    "/docs/../openapi.json",
    "/api/v1/../../media/products/cup.png",
]


@pytest.mark.parametrize("path", MALFORMED)
def test_a_malformed_path_is_400(gateway: Gateway, services: Services, bearer: Any, path: str) -> None:
    token = bearer(roles=["admin"])["Authorization"]
    answer = exchange(gateway.port, f"GET {path} HTTP/1.1\r\nHost: shop\r\nAuthorization: {token}\r\n\r\n")
    assert answer.status == 400
    assert answer.header("Content-Type") == "application/problem+json"
    assert b'"code":"bad_request"' in answer.body
    assert services.seen == []


UNUSUAL = {
    **dict.fromkeys(["//", "/./", "/../", "a%", "%00", "%2e", "a\\", "a\x7f"], 400),
    **dict.fromkeys(["..", "/.", "a/", "%41", "~@", "a?", "A-9"], 404),
}


@pytest.mark.parametrize("text", UNUSUAL)
def test_what_is_malformed_is_so_at_every_place(gateway: Gateway, text: str) -> None:
    """Paths are looked at in pieces of eight bytes, and longer ones than 64 otherwise."""
    wrong = [
        length
        for length in range(1, 72)
        if exchange(gateway.port, f"GET /{'a' * length}{text}b HTTP/1.1\r\nHost: shop\r\n\r\n").status
        != UNUSUAL[text]
    ]
    assert wrong == []


@pytest.mark.parametrize("before", ["/", "/" + "a" * 5, "/" + "a" * 6 + "/", "/" + "a" * 60, "/" + "a" * 80])
def test_which_characters_may_stand_in_a_path(gateway: Gateway, before: str) -> None:
    fine = set(string.ascii_letters + string.digits + "._~!$&'()*+,;=:@-/?")
    if before.endswith("/"):
        fine -= {".", "/"}
    for code in [*range(0x21, 0x25), *range(0x26, 0x7F), 0x7F, 0x80, 0xAD, 0xAE, 0xAF, 0xBA, 0xE1, 0xFF]:
        request = f"GET {before}{chr(code)} HTTP/1.1\r\nHost: shop\r\n\r\n"
        status = exchange(gateway.port, request.encode("latin-1")).status
        assert status == (404 if chr(code) in fine else 400), chr(code)


def test_an_encoded_letter_can_not_pick_another_route_than_the_service_sees(
    client: httpx.Client, services: Services, bearer: Any
) -> None:
    assert_problem(client.get("/api/v1/orders/%61dmin", headers=bearer()), 403, "permission_denied")
    assert services.seen == []
    assert client.get("/api/v1/catalog/products/caf%C3%A9", headers=bearer()).status_code == 200
    assert services.last.target == "/api/v1/catalog/products/caf%C3%A9"


def test_the_query_reaches_the_service_untouched(client: httpx.Client, services: Services) -> None:
    query = "q=a%2Fb&q=..&attr.size=%C3%BC%00&next=//x"
    assert client.get(f"/api/v1/orders/shipping-methods?{query}").status_code == 200
    assert services.last.target == f"/api/v1/orders/shipping-methods?{query}"


def test_an_absolute_address_in_the_request_line_is_read_like_any_other(
    gateway: Gateway, services: Services
) -> None:
    answer = exchange(
        gateway.port, "GET http://shop/api/v1/catalog/products?q=x HTTP/1.1\r\nHost: shop\r\n\r\n"
    )
    assert answer.status == 200
    assert services.last.target == "/api/v1/catalog/products?q=x"
    assert (
        exchange(gateway.port, "GET http://shop/internal/v1/manifest HTTP/1.1\r\nHost: shop\r\n\r\n").status
        == 404
    )


def test_a_large_body_is_allowed_where_pictures_go(
    client: httpx.Client, services: Services, bearer: Any
) -> None:
    picture = b"x" * (10 * 1024 * 1024)
    path = f"/api/v1/catalog/products/{ID}/images"
    assert client.post(path, content=picture, headers=bearer(roles=["seller"])).status_code == 200
    assert len(services.last.body) == len(picture)
    assert_problem(client.post("/api/v1/orders", content=picture, headers=bearer()), 413, "payload_too_large")


@pytest.mark.parametrize("path", ["/a" * 5500, "/" + "a" * 11000, "/" + "%41" * 3600, "/%c3%a9" * 1500])
def test_a_long_path_is_read_like_a_short_one(
    client: httpx.Client, gateway: Gateway, services: Services, path: str
) -> None:
    assert_problem(client.get(path), 404, "not_found")
    assert exchange(gateway.port, f"GET {path}//x HTTP/1.1\r\nHost: shop\r\n\r\n").status == 400
    assert services.seen == []


def test_a_websocket_is_passed_through_and_its_ticket_stays_out_of_the_log(
    gateway: Gateway, services: Services, address: str
) -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello"
    services["svc-notifications"].answer = lambda _: Answer(raw=switch)
    with Connection(gateway.port) as connection:
        connection.send(
            f"GET /ws/notifications?ticket=secret-ticket HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: {address}\r\n"
            "X-Request-Id: the-websocket\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://localhost:3000\r\n\r\n"
        )
        assert connection.read().status == 101
        assert connection.file.read(5) == b"hello"
    seen = services.last
    assert (seen.service, seen.target) == ("svc-notifications", "/ws/notifications?ticket=secret-ticket")
    assert seen.header("upgrade") == "websocket"
    assert (seen.header("connection") or "").lower() == "upgrade"
    assert seen.header("origin") == "http://localhost:3000"
    gateway.log_lines(lambda entry: entry["request_id"] == "the-websocket")
    assert "secret-ticket" not in (gateway.output / "access.log").read_text()
