"""What a release would break among the services that run. The manifests are those of the tree's own contracts, changed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from release.fit import breaks
from shared_lib.contracts.events import SERVICES
from shared_lib.contracts.manifest import document

Manifest = dict[str, Any]
PATHS = {
    "svc-catalog": [{"method": "GET", "path": "/api/v1/catalog/products/{key}"}],
    "svc-accounts": [{"method": "*", "path": "/.well-known/jwks.json"}],
}
ROUTES = [
    {"method": "GET", "path": "/api/v1/catalog/products/{id}", "service": "svc-catalog", "auth": "public"},
    {"method": "GET", "path": "/api/v1/catalog/posts", "service": "svc-catalog", "auth": "public"},
    {"method": "GET", "path": "/.well-known/jwks.json", "service": "svc-accounts", "auth": "public"},
]


class Shop:
    """What runs, all of it 1.0.0, and one service of it that a test changes to be 1.1.0."""

    def __init__(self, running: dict[str, Manifest]) -> None:
        self.running = copy.deepcopy(running)

    def new(self, service: str) -> Manifest:
        return copy.deepcopy(self.running[service]) | {"version": "1.1.0"}

    def breaks(self, new: Manifest) -> list[str]:
        return [str(each) for each in breaks(new, list(self.running.values()))]


@pytest.fixture(scope="module")
def manifests() -> dict[str, Manifest]:
    # Every name of a field stands in the contracts: all optional ones count as read.
    words = "shared_lib.contracts"
    found = {
        name: document(name, version="1.0.0", package=words, public=PATHS.get(name, [])) for name in SERVICES
    }
    return found | {"gateway": {"format": 1, "service": "gateway", "version": "1.0.0", "routes": ROUTES}}


@pytest.fixture
def shop(manifests: dict[str, Manifest]) -> Shop:
    return Shop(manifests)


def endpoint(manifest: Manifest, name: str, kind: str = "serves") -> dict[str, Any]:
    (found,) = [each for each in manifest[kind] if each["endpoint"] == name]
    return found


def drop(schema: dict[str, Any], name: str) -> None:
    del schema["properties"][name]
    schema["required"] = [each for each in schema.get("required", []) if each != name]


@pytest.mark.parametrize("service", [*SERVICES, "gateway"])
def test_what_runs_fits_itself(shop: Shop, service: str) -> None:
    assert shop.breaks(shop.new(service)) == []


# A new producer, and consumers that run


def test_a_removed_field_of_an_event_names_each_consumer_and_the_field(shop: Shop) -> None:
    new = shop.new("svc-catalog")
    drop(new["publishes"]["stock.changed.v1"], "available")
    # Its own consumer is new too, and does not need the field; the one that runs does.
    consumed = new["consumes"]["stock.changed.v1"]
    drop(consumed["schema"], "available")
    consumed["needs"].remove("available")

    assert shop.breaks(new) == [
        (
            "svc-catalog 1.0.0, which runs, would break by the event stock.changed.v1 of svc-catalog 1.1.0: field available was"
            " removed."
        ),
        "svc-cart 1.0.0, which runs, would break by the event stock.changed.v1 of svc-catalog 1.1.0: field available was removed.",
    ]


def test_a_removed_optional_field_breaks_who_reads_it_and_nobody_else(shop: Shop) -> None:
    new = shop.new("svc-payments")
    drop(new["publishes"]["payment.attempt_failed.v1"], "failure_code")
    shop.running["svc-notifications"]["consumes"]["payment.attempt_failed.v1"]["needs"].remove("failure_code")

    (only,) = shop.breaks(new)
    assert only.startswith("svc-orders 1.0.0, which runs, would break by the event payment.attempt_failed.v1")
    assert only.endswith("field failure_code was removed.")


def test_an_event_that_is_no_longer_published_names_who_waits_for_it(shop: Shop) -> None:
    new = shop.new("svc-payments")
    del new["publishes"]["payment.disputed.v1"]

    assert shop.breaks(new) == [
        (
            "svc-orders 1.0.0, which runs, would break by the event payment.disputed.v1 of svc-payments 1.1.0: it is no longer"
            " published."
        )
    ]


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "string"}, "is string, and integer is what can be read"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "may be null, which cannot be read"),
    ],
)
def test_a_changed_type_of_a_field_is_named(shop: Shop, schema: dict[str, Any], said: str) -> None:
    new = shop.new("svc-catalog")
    new["publishes"]["stock.changed.v1"]["properties"]["available"] = schema

    assert f"svc-catalog 1.1.0: field available {said}." in shop.breaks(new)[-1]


def test_a_field_that_may_now_be_absent_is_named(shop: Shop) -> None:
    new = shop.new("svc-catalog")
    new["publishes"]["stock.changed.v1"]["required"].remove("available")

    assert "field available may be absent, and is needed always" in shop.breaks(new)[-1]


def test_another_optional_field_of_an_event_breaks_nobody(shop: Shop) -> None:
    new = shop.new("svc-catalog")
    new["publishes"]["stock.changed.v1"]["properties"]["reserved"] = {"type": "integer", "default": 0}

    assert shop.breaks(new) == []


# A new consumer, and producers that run


def test_a_consumer_that_needs_what_is_not_published_yet_says_who_comes_first(shop: Shop) -> None:
    new = shop.new("svc-cart")
    wanted = new["consumes"]["stock.changed.v1"]
    wanted["schema"]["properties"]["reserved"] = {"type": "integer"}
    wanted["schema"]["required"].append("reserved")
    wanted["needs"].append("reserved")

    assert shop.breaks(new) == [
        (
            "svc-cart 1.1.0 itself would break by the event stock.changed.v1 of svc-catalog 1.0.0, which runs: field reserved is"
            " missing; release svc-catalog first."
        )
    ]


def test_a_consumer_may_know_an_optional_field_before_its_producer(shop: Shop) -> None:
    new = shop.new("svc-cart")
    wanted = new["consumes"]["stock.changed.v1"]
    wanted["schema"]["properties"]["reserved"] = {"type": "integer", "default": 0}
    wanted["needs"].append("reserved")

    assert shop.breaks(new) == []


def test_a_consumer_of_its_own_events_cannot_ask_for_more_in_one_release(shop: Shop) -> None:
    new = shop.new("svc-catalog")
    for schema in (new["publishes"]["stock.changed.v1"], new["consumes"]["stock.changed.v1"]["schema"]):
        schema["properties"]["reserved"] = {"type": "integer"}
        schema["required"].append("reserved")

    (only,) = shop.breaks(new)
    assert "field reserved is missing; both versions run side by side for a while" in only


def test_an_event_that_nobody_publishes_yet_may_be_consumed(shop: Shop) -> None:
    new = shop.new("svc-cart")
    new["consumes"]["stock.changed.v2"] = new["consumes"]["stock.changed.v1"]

    assert shop.breaks(new) == []


# A new callee, and callers that run


def test_a_removed_field_of_an_answer_names_each_caller(shop: Shop) -> None:
    new = shop.new("svc-catalog")
    drop(endpoint(new, "GET variants")["answer"]["properties"]["results"]["items"], "weight_grams")

    assert shop.breaks(new) == [
        f"{caller} 1.0.0, which runs, would break by the answer of GET variants of svc-catalog 1.1.0: field"
        " results[].weight_grams was removed."
        for caller in ("svc-cart", "svc-orders")
    ]


def test_a_request_that_asks_for_more_names_the_caller(shop: Shop) -> None:
    new = shop.new("svc-catalog")
    request = endpoint(new, "POST reservations")["request"]
    request["properties"]["user_id"] = {"type": "string", "format": "uuid"}
    request["required"].append("user_id")

    assert shop.breaks(new) == [
        (
            "svc-orders 1.0.0, which runs, would break by the request of POST reservations of svc-catalog 1.1.0: field user_id is"
            " required and not sent."
        )
    ]


def test_a_field_of_a_request_that_is_no_longer_heard_is_named(shop: Shop) -> None:
    new = shop.new("svc-payments")
    drop(endpoint(new, "POST payments/{payment_id}/refunds")["request"], "reason")

    (only,) = shop.breaks(new)
    assert only.endswith("field reason was removed: it is no longer heard.")


def test_an_endpoint_that_is_gone_and_a_caller_that_is_locked_out_are_named(shop: Shop) -> None:
    new = shop.new("svc-catalog")
    new["serves"].remove(endpoint(new, "GET products"))
    endpoint(new, "DELETE reservations/{order_id}")["callers"] = []

    assert shop.breaks(new) == [
        "svc-cart 1.0.0, which runs, would break by GET products of svc-catalog 1.1.0: it is not served.",
        (
            "svc-orders 1.0.0, which runs, would break by DELETE reservations/{order_id} of svc-catalog 1.1.0: it does not admit"
            " svc-orders."
        ),
    ]


def test_an_answer_with_more_and_a_request_that_allows_more_break_nobody(shop: Shop) -> None:
    new = shop.new("svc-catalog")
    called = endpoint(new, "POST reservations")
    called["answer"]["properties"]["warehouse"] = {"type": "string"}
    called["answer"]["required"].append("warehouse")
    called["request"]["properties"]["note"] = {"type": "string", "default": ""}

    assert shop.breaks(new) == []


# A new caller, and callees that run


def test_a_caller_that_comes_before_its_callee_says_who_comes_first(shop: Shop) -> None:
    new = shop.new("svc-orders")
    call = endpoint(new, "POST reservations", "calls")
    call["answer"]["schema"]["properties"]["warehouse"] = {"type": "string"}
    call["answer"]["schema"]["required"].append("warehouse")
    call["request"]["properties"]["priority"] = {"type": "integer"}
    call["request"]["required"].append("priority")
    new["calls"].append({"callee": "svc-cart", "endpoint": "POST locks"})

    ends = "which runs: {}; release {} first."
    found = shop.breaks(new)
    assert len(found) == 3
    assert all(each.startswith("svc-orders 1.1.0 itself would break by ") for each in found)
    for what, who in (
        ("field priority is not known there", "svc-catalog"),
        ("field warehouse is missing", "svc-catalog"),
        ("it is not served", "svc-cart"),
    ):
        assert any(each.endswith(ends.format(what, who)) for each in found), what


# What runs already as it is


def test_what_is_broken_already_keeps_no_release_back(shop: Shop) -> None:
    drop(shop.running["svc-catalog"]["publishes"]["product.updated.v1"], "name")

    assert shop.breaks(shop.new("svc-catalog")) == []
    assert shop.breaks(shop.new("svc-cart")) == []


def test_of_two_versions_that_run_side_by_side_each_counts(shop: Shop) -> None:
    older = copy.deepcopy(shop.running["svc-cart"]) | {"version": "0.9.0"}
    shop.running["svc-cart"]["consumes"].pop("stock.changed.v1")
    shop.running["svc-cart 0.9.0"] = older
    new = shop.new("svc-catalog")
    drop(new["publishes"]["stock.changed.v1"], "product_id")

    assert any(each.startswith("svc-cart 0.9.0, which runs, would break") for each in shop.breaks(new))


# The gateway


def test_a_path_that_a_service_no_longer_has_and_the_gateway_routes_is_named(shop: Shop) -> None:
    assert shop.breaks(shop.new("svc-catalog") | {"public": []}) == [
        (
            "gateway 1.0.0, which runs, would break by GET /api/v1/catalog/products/{key} of svc-catalog 1.1.0: it is no longer"
            " served, and routed still."
        )
    ]
    assert "jwks.json" in shop.breaks(shop.new("svc-accounts") | {"public": []})[0]


def test_a_path_that_gets_another_name_for_its_parameter_is_the_same(shop: Shop) -> None:
    public = [{"method": "GET", "path": "/api/v1/catalog/products/{slug}"}]

    assert shop.breaks(shop.new("svc-catalog") | {"public": public}) == []


def test_a_new_route_to_what_is_not_served_says_who_comes_first(shop: Shop) -> None:
    new = shop.new("gateway")
    route = {"service": "svc-catalog", "auth": "public", "method": "GET"}
    new["routes"] += [
        {**route, "path": "/api/v1/catalog/suggest"},
        {**route, "path": "/api/v1/catalog/products/**"},
    ]

    assert shop.breaks(new) == [
        (
            "gateway 1.1.0 itself would break by GET /api/v1/catalog/suggest of svc-catalog 1.0.0, which runs: it is not served;"
            " release svc-catalog first."
        )
    ]
