"""A storefront: what a client of the shop does, through the gateway and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Self
from uuid import uuid4

import httpx

ADDRESS = {
    "full_name": "Ada Lovelace",
    "line1": "12 St James's Square",
    "city": "London",
    "postal_code": "SW1Y 4JH",
    "country": "GB",
}

Json = dict[str, Any]


class Storefront:
    """One client with its own tokens and cart. `watch` is called with each response, for printing.

    `get`, `post`, `patch` and `delete` take paths below /api/v1 and return the response whatever its status. `address` puts
    an `X-Forwarded-For` on each request: the gateway of a development stack trusts it, so that one test machine can stand
    for many clients. What the edge refuses because it came too soon (429) is sent again when it says, unless `patient` is off.
    """

    def __init__(
        self,
        base_url: str,
        *,
        address: str | None = None,
        patient: bool = True,
        watch: Callable[[httpx.Response], None] | None = None,
        keeps_connections: bool = True,
    ) -> None:
        headers = {"X-Forwarded-For": address} if address else {}
        limits = httpx.Limits(max_keepalive_connections=None if keeps_connections else 0)
        self.http = httpx.Client(base_url=base_url, timeout=30, headers=headers, limits=limits)
        self.access = ""
        self.refresh = ""
        self.cart_token = ""
        self._patient = patient
        self._watch = watch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def request(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **kwargs: Any
    ) -> httpx.Response:
        sent = {"Authorization": f"Bearer {self.access}"} if self.access else {}
        if self.cart_token:
            sent["X-Cart-Token"] = self.cart_token
        url = path if path.startswith(("/api", "/.well-known", "/media", "/dev")) else f"/api/v1{path}"
        response = self.http.request(method, url, headers={**sent, **(headers or {})}, **kwargs)
        while response.status_code == 429 and self._patient:
            time.sleep(float(response.headers["Retry-After"]))
            response = self.http.request(method, url, headers={**sent, **(headers or {})}, **kwargs)
        self.cart_token = response.headers.get("X-Cart-Token", self.cart_token)
        if self._watch:
            self._watch(response)
        return response

    def get(self, path: str, **kwargs: Any) -> httpx.Response:
        return self.request("GET", path, **kwargs)

    def post(self, path: str, body: Json | None = None, **kwargs: Any) -> httpx.Response:
        return self.request("POST", path, json=body if body is not None else {}, **kwargs)

    def patch(self, path: str, body: Json, **kwargs: Any) -> httpx.Response:
        return self.request("PATCH", path, json=body, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> httpx.Response:
        return self.request("DELETE", path, **kwargs)

    # The steps of a purchase. Each raises AssertionError with the whole answer when it is not what a buyer expects.

    def register(self, email: str | None = None, password: str = "correct horse battery") -> str:
        """A new account, signed in. Returns its e-mail address."""
        email = email or f"buyer-{uuid4().hex[:12]}@example.com"
        expect(
            self.post("/accounts/register", {"email": email, "password": password, "name": "Ada Lovelace"}),
            201,
        )
        self.login(email, password)
        return email

    def login(self, email: str, password: str) -> None:
        self._take(expect(self.post("/accounts/token", {"email": email, "password": password}), 200))

    def renew(self) -> None:
        self._take(expect(self.post("/accounts/token/refresh", {"refresh": self.refresh}), 200))

    def _take(self, pair: Json) -> None:
        self.access, self.refresh = pair["access"], pair["refresh"]

    def product(self, key: str) -> Json:
        """A product as it is now: what the gateway keeps may be a second old, and is kept by address."""
        return expect(self.get(f"/catalog/products/{key}", params={"at": uuid4().hex}), 200)

    def find_variant(self, *, at_least: int = 5) -> Json:
        """A variant of a product in stock, with `product` beside its own fields."""
        products = expect(self.get("/catalog/products", params={"in_stock": "true", "page_size": 20}), 200)[
            "results"
        ]
        for item in products:
            product = self.product(item["slug"])
            for variant in product["variants"]:
                if variant["available"] >= at_least:
                    return {**variant, "product": product}
        raise AssertionError(f"no variant with {at_least} in stock among {len(products)} products")

    def add_to_cart(self, variant_id: str, quantity: int = 1) -> Json:
        return expect(self.post("/cart/lines", {"variant_id": variant_id, "quantity": quantity}), 201)

    def order_body(self, country: str = "GB") -> Json:
        methods = expect(self.get("/orders/shipping-methods", params={"country": country}), 200)["results"]
        return {"shipping_address": {**ADDRESS, "country": country}, "shipping_method": methods[0]["code"]}

    def place_order(self, body: Json | None = None, *, key: str | None = None) -> Json:
        headers = {"Idempotency-Key": key or uuid4().hex}
        return expect(self.post("/orders", body or self.order_body(), headers=headers), 201)

    def confirm(self, order: Json, payment_method: str = "pm_card_visa", **body: Any) -> httpx.Response:
        return self.post(
            f"/payments/{order['payment']['id']}/confirm", {"payment_method": payment_method, **body}
        )

    def order(self, order_id: str) -> Json:
        return expect(self.get(f"/orders/{order_id}"), 200)

    def wait_for_order(self, order_id: str, status: str, *, seconds: float = 15) -> Json:
        return eventually(
            lambda: self.order(order_id), lambda order: order["status"] == status, seconds=seconds
        )

    def buy(self, variant_id: str, quantity: int = 1) -> Json:
        """Everything from cart to a confirmed order."""
        self.add_to_cart(variant_id, quantity)
        order = self.place_order()
        expect(self.confirm(order), 200)
        return self.wait_for_order(order["id"], "confirmed")

    def mails_to(self, address: str) -> list[Json]:
        """What the mail catcher of a development stack holds for `address`."""
        return list(expect(self.get("/dev/mail/api/messages", params={"to": address}), 200)["results"])


def expect(response: httpx.Response, status: int) -> Json:
    """The body of a response with that status. Raises AssertionError with all there is to see."""
    if response.status_code != status:
        raise AssertionError(
            f"{response.request.method} {response.request.url.path}: {response.status_code} instead of {status}: {response.text}"
        )
    return response.json() if response.content else {}


def eventually(read: Callable[[], Any], good: Callable[[Any], bool], *, seconds: float = 15) -> Any:
    """Reads again and again until the value is good. Raises AssertionError with the last one after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = read()
        if good(value):
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s; last seen: {value!r}")
        time.sleep(0.05)
