"""One purchase, seen afterwards: as one tree of spans, and in the logs of everybody who had to do with it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from storefront import Storefront, eventually, expect

SERVICES = {f"svc-{name}" for name in ("accounts", "catalog", "cart", "orders", "payments", "notifications")}
CLIENT = "c11e27c11e27c11e"
Span = dict[str, Any]


class Purchase:
    """A purchase whose requests all belong to one trace of the client and carry one request id."""

    def __init__(self, shop: Storefront, spans_of: Callable[..., list[list[Span]]]) -> None:
        self.trace = uuid4().hex
        self.request_id = f"purchase-{uuid4().hex}"
        self.password = uuid4().hex
        self._spans_of = spans_of
        shop.http.headers.update(
            {"traceparent": f"00-{self.trace}-{CLIENT}-01", "X-Request-Id": self.request_id}
        )
        self.email = shop.register(password=self.password)
        shop.add_to_cart(shop.find_variant()["id"], 2)
        self.order = shop.place_order()
        expect(shop.confirm(self.order), 200)
        # Whoever asks until it is done is not a part of it.
        del shop.http.headers["traceparent"], shop.http.headers["X-Request-Id"]
        shop.wait_for_order(self.order["id"], "confirmed")
        number = self.order["number"]
        eventually(
            lambda: shop.mails_to(self.email), lambda mails: any(number in mail["subject"] for mail in mails)
        )
        self.secrets = {self.password, self.email, shop.access, shop.refresh}
        self.spans = eventually(self._read, self._complete)
        self.by_id = {span["span"]: span for span in self.spans}

    def _read(self) -> list[Span]:
        return next(iter(self._spans_of(trace=self.trace)), [])

    def _complete(self, spans: list[Span]) -> bool:
        """Everybody sends now and then: until the last of it is there, parents are missing."""
        known = {span["span"] for span in spans} | {CLIENT}
        names = [span["name"] for span in spans if span["service"] == "svc-notifications"]
        return names.count("job notifications.email") >= 2 and all(span["parent"] in known for span in spans)

    def named(self, service: str, name: str) -> list[Span]:
        return [span for span in self.spans if (span["service"], span["name"]) == (service, name)]

    def way_to(self, span: Span) -> list[str]:
        """Service and name of the span and of all above it."""
        way = []
        while span is not None:
            way.append(f"{span['service']} {span['name']}")
            span = self.by_id.get(span["parent"])
        return way


@pytest.fixture(scope="module")
def collector(stack_env: dict[str, str]) -> Iterator[Callable[..., list[list[Span]]]]:
    with httpx.Client(base_url=f"http://127.0.0.1:{stack_env['TRACES_PORT']}") as http:
        yield lambda **asked: http.get("/api/traces", params=asked).json()["results"]


@pytest.fixture(scope="module")
def purchase(base_url: str, collector: Callable[..., list[list[Span]]]) -> Iterator[Purchase]:
    with Storefront(base_url, address=f"198.18.{os.getpid() % 256}.200") as shop:
        yield Purchase(shop, collector)


def test_a_purchase_is_one_tree_with_the_gateway_and_all_services(purchase: Purchase) -> None:
    assert {span["service"] for span in purchase.spans} == SERVICES | {"gateway"}
    for span in purchase.spans:
        above = purchase.by_id.get(span["parent"])
        if above is None:
            assert (span["service"], span["parent"]) == ("gateway", CLIENT), span


def test_the_tree_goes_from_the_buyers_click_to_the_mail(purchase: Purchase) -> None:
    ways = [purchase.way_to(span) for span in purchase.named("svc-notifications", "job notifications.email")]
    expected = [
        "svc-notifications job notifications.email",
        "svc-notifications process order.confirmed.v1",
        "svc-orders send order.confirmed.v1",
        "svc-orders publish order.confirmed.v1",
        "svc-orders process payment.succeeded.v1",
        "svc-payments send payment.succeeded.v1",
        "svc-payments publish payment.succeeded.v1",
    ]
    (way,) = [way for way in ways if way[: len(expected)] == expected]
    assert way[-1] == "gateway POST /api/v1/payments/{id}/confirm"
    sends = [purchase.way_to(span) for span in purchase.named("svc-notifications", "SMTP send")]
    assert any(way[1:3] == expected[:2] for way in sends)


@pytest.mark.parametrize("callee", ["svc-cart", "svc-catalog", "svc-payments"])
def test_a_checkout_calls_others_below_its_own_request(purchase: Purchase, callee: str) -> None:
    found = [
        way
        for span in purchase.spans
        if span["service"] == callee and span["kind"] == 2
        for way in [purchase.way_to(span)]
        if way[-1] == "gateway POST /api/v1/orders"
    ]
    assert found
    for way in found:
        assert way[1].startswith("svc-orders ")
        assert way[1].endswith(callee)
        assert way[-2] == "svc-orders POST api/v1/orders"


def test_every_service_shows_its_statements_and_commits_but_no_value_and_no_secret(
    purchase: Purchase,
) -> None:
    for service in SERVICES:
        mine = [span for span in purchase.spans if span["service"] == service]
        assert any("db.query.text" in span["attributes"] for span in mine), service
        assert any(span["name"] == "COMMIT" for span in mine), service
    written = json.dumps(purchase.spans)
    for secret in purchase.secrets:
        assert secret not in written


def test_the_order_is_found_by_its_id_and_its_number_and_the_request_by_its_id(
    purchase: Purchase, collector: Callable[..., list[list[Span]]]
) -> None:
    for asked in (
        {"order": purchase.order["id"]},
        {"order": purchase.order["number"]},
        {"request": purchase.request_id},
    ):
        assert purchase.trace in {spans[0]["trace"] for spans in collector(**asked)}, asked


def test_one_request_id_is_in_every_log_that_it_passed(purchase: Purchase) -> None:
    folder = Path(os.environ["SHOP_STATE_DIR"]) / "logs"
    if not list(folder.glob("svc-orders-web*.log")):
        pytest.skip("the logs of containers are the engine's")
    wanted = {"gateway", *(f"{service}-web" for service in SERVICES)}
    wanted |= {"svc-orders-events", "svc-notifications-events", "svc-notifications-worker"}

    def missing() -> set[str]:
        return {
            name
            for name in wanted
            if not any(purchase.request_id in path.read_text() for path in folder.glob(f"{name}*.log"))
        }

    wanted.discard("svc-notifications-web")  # a purchase makes it no request, only events
    assert eventually(missing, lambda names: not names) == set()
    for path in folder.glob("*.log"):
        text = path.read_text(errors="replace")
        for secret in purchase.secrets - {purchase.email}:
            assert secret not in text, path.name
        assert purchase.email not in text, path.name
