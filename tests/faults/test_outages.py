"""What goes on while a service is away, and what says when to come again: through the gateway, the web process really gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from faults.__main__ import find_site
from faults.buyers import ADDRESS
from faults.client import new_key
from faults.crowd import people
from faults.site import Site
from shop.envfile import prefix

ORDER = {"shipping_address": ADDRESS, "shipping_method": "standard"}


@pytest.fixture(scope="module")
def site() -> Site:
    return find_site()


@pytest.fixture
def buyer(site: Site) -> Iterator[httpx.Client]:
    """A customer with a token of their own and one unit in the cart."""
    (person,) = people(site, 1)
    headers = {"Authorization": f"Bearer {person.access}", "X-Forwarded-For": "198.20.6.1"}
    with httpx.Client(base_url=f"{site.base_url}/api/v1", headers=headers, timeout=30) as client:
        products = client.get("/catalog/products?in_stock=true").json()["results"]
        product = client.get(f"/catalog/products/{products[0]['id']}").json()
        variant = next(its for its in product["variants"] if its["available"])
        line = {"variant_id": variant["id"], "quantity": 1}
        assert client.post("/cart/lines", json=line).status_code == 201
        yield client


@contextmanager
def without(site: Site, service: str) -> Iterator[None]:
    """Its web process is gone until the end of the block."""
    site.stop([f"{service}-web"])
    try:
        yield
    finally:
        start(site, service)


def start(site: Site, service: str) -> None:
    site.start([f"{service}-web"])
    site.shop.ready.port("http", f"{prefix(service)}_PORT", f"{service}-web", "/readyz")


def order(buyer: httpx.Client) -> httpx.Response:
    return buyer.post("/orders", json=ORDER, headers={"Idempotency-Key": new_key()})


def cancel(buyer: httpx.Client, placed: httpx.Response) -> None:
    """So that nobody has to wait until it expires."""
    assert buyer.post(f"/orders/{placed.json()['id']}/cancel").json()["status"] == "cancelled"


def says_when_to_come_again(answer: httpx.Response) -> bool:
    problem: dict[str, Any] = answer.json()
    return (
        answer.status_code == 503
        and answer.headers["Content-Type"] == "application/problem+json"
        and problem["code"] == "service_unavailable"
        and 1 <= int(answer.headers["Retry-After"]) <= 60
    )


def test_without_the_catalog_a_cart_is_shown_and_changed_and_an_order_can_be_had_later(
    site: Site, buyer: httpx.Client
) -> None:
    cart = buyer.get("/cart").json()
    with without(site, "svc-catalog"):
        assert buyer.get("/cart").json() == cart
        more = buyer.patch(f"/cart/lines/{cart['lines'][0]['id']}", json={"quantity": 2})
        assert (more.status_code, more.json()["lines"][0]["quantity"]) == (200, 2)
        assert says_when_to_come_again(order(buyer))
        assert buyer.get("/orders").json()["results"] == []
    placed = order(buyer)
    assert (placed.status_code, placed.json()["lines"][0]["quantity"]) == (201, 2)
    cancel(buyer, placed)


def test_without_orders_and_payments_products_and_carts_go_on(site: Site, buyer: httpx.Client) -> None:
    with without(site, "svc-payments"):
        assert says_when_to_come_again(order(buyer))
        assert buyer.get("/orders").json()["results"] == []
    with without(site, "svc-orders"):
        assert buyer.get("/catalog/products?page_size=3").json()["results"]
        assert buyer.get("/cart").json()["lines"]
        assert says_when_to_come_again(buyer.get("/orders"))


def test_who_starts_while_svc_accounts_is_away_takes_good_tokens(site: Site, buyer: httpx.Client) -> None:
    cancel(buyer, order(buyer))
    with without(site, "svc-accounts"):
        for service in ("svc-cart", "svc-orders"):
            site.stop([f"{service}-web"])
            start(site, service)
        assert buyer.get("/cart").json()["lines"]
        placed = order(buyer)
        assert placed.status_code == 201, placed.text
        cancel(buyer, placed)
