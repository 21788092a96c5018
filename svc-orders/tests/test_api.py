from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from orders.models import Order
from shared_lib.ids import uuid7
from tests.conftest import Buyer
from tests.factories import OrderFactory, ShippingMethodFactory
from tests.messages import payment_succeeded
from tests.shop import ADDRESS, Shop

ORDER_FIELDS = [
    "id",
    "number",
    "status",
    "payment_status",
    "fulfillment_status",
    "lines",
    "subtotal",
    "discount",
    "shipping",
    "tax",
    "tax_included",
    "total",
    "shipping_address",
    "payment",
    "expires_at",
    "created_at",
    "history",
    "coupon_codes",
    "shipments",
]
BODY = {"shipping_address": ADDRESS, "shipping_method": "standard"}


@pytest.fixture
def client(api: Any, buyer: Buyer) -> Any:
    """The buyer, signed in."""
    return api.as_user(buyer.id)


@pytest.fixture
def staff(api: Any) -> Any:
    return api.as_user(roles=("staff",))


def _order(client: Any, key: str = "key-1", **changes: Any) -> Any:
    return client.post("/api/v1/orders", {**BODY, **changes}, headers={"Idempotency-Key": key})


def _problem(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["code"] == code
    assert document["status"] == status
    assert document["request_id"]
    return document


def test_an_order_is_answered_with_201_and_the_fields_of_the_contract_and_those_beyond_it(client: Any):
    response = _order(client)

    assert response.status_code == 201
    document = response.json()
    assert list(document) == ORDER_FIELDS
    assert list(document["lines"][0]) == [
        "variant_id",
        "sku",
        "name",
        "quantity",
        "unit_price",
        "line_total",
        "discount",
    ]
    assert list(document["payment"]) == ["id", "status", "action"]
    assert list(document["history"][0]) == ["status", "at", "reason"]
    assert document["created_at"].endswith("Z")
    assert "Idempotent-Replayed" not in response.headers
    assert response.headers["Cache-Control"] == "private, no-store"


def test_reading_an_order_gives_what_placing_it_gave(client: Any):
    placed = _order(client).json()

    response = client.get(f"/api/v1/orders/{placed['id']}")

    assert response.status_code == 200
    assert response.json() == placed
    assert response.headers["ETag"]


def test_a_replay_says_so_and_has_the_same_bytes(client: Any):
    first = _order(client)

    second = _order(client)

    assert second.status_code == 201
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.content == first.content


def test_without_a_key_nothing_is_ordered(client: Any):
    _problem(client.post("/api/v1/orders", BODY), 400, "idempotency_key_required")

    assert not Order.objects.exists()


def test_a_key_is_not_used_up_by_another_body_or_by_a_failure(client: Any, shop: Shop, buyer: Buyer):
    shop.stock[str(buyer.variant)] = 1
    document = _problem(_order(client), 409, "out_of_stock")
    assert document["lines"] == [{"variant_id": str(buyer.variant), "requested": 2, "available": 1}]
    shop.fill_cart(buyer.id, (buyer.variant, 1))

    assert _order(client).status_code == 201
    _problem(_order(client, shipping_method="pickup"), 422, "idempotency_key_reused")


def test_the_conflicts_of_a_checkout_come_with_what_is_so_now(client: Any):
    document = _problem(_order(client, expected_total={"amount": 1, "currency": "USD"}), 409, "price_changed")
    assert document["total"] == {"amount": 4397, "currency": "USD"}
    document = _problem(_order(client, cart_version=9), 409, "cart_changed")
    assert document["cart_version"] == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"shipping_address": None}, "shipping_address"),
        ({"shipping_address": {**ADDRESS, "country": "gb"}}, "shipping_address.country"),
        ({"shipping_address": {"city": "London"}}, "shipping_address.full_name"),
        ({"address_id": str(uuid7())}, "shipping_address"),
        ({"shipping_method": ""}, "shipping_method"),
        ({"shipping_method": "teleport"}, "shipping_method"),
        ({"expected_total": {"amount": 1.5, "currency": "USD"}}, "expected_total"),
        ({"expected_total": {"amount": 1, "currency": "EUR"}}, "expected_total"),
        ({"cart_version": "x"}, "cart_version"),
        ({"payment_provider": "No!"}, "payment_provider"),
    ],
)
def test_a_body_that_is_not_valid_names_the_field(client: Any, changes: dict[str, Any], field: str):
    document = _problem(_order(client, **changes), 422, "validation_failed")

    assert field in [error["field"] for error in document["errors"]]
    assert not Order.objects.placed().exists()


def test_a_body_that_does_not_parse_is_malformed(client: Any):
    response = client.post(
        "/api/v1/orders", b"{", content_type="application/json", headers={"Idempotency-Key": "k"}
    )

    _problem(response, 400, "bad_request")


def test_an_empty_cart_and_a_country_without_shipping(client: Any, shop: Shop, buyer: Buyer):
    _problem(_order(client, shipping_address={**ADDRESS, "country": "FR"}), 422, "address_not_served")
    shop.fill_cart(buyer.id)
    _problem(_order(client), 422, "empty_cart")


def test_a_needed_service_that_is_away_is_told_with_a_time_to_retry(client: Any, shop: Shop):
    shop.take_away("reserve")

    response = _order(client)

    _problem(response, 503, "service_unavailable")
    assert int(response.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/api/v1/orders"),
        ("post", "/api/v1/orders"),
        ("post", "/api/v1/orders/quote"),
        ("get", f"/api/v1/orders/{uuid7()}"),
        ("post", f"/api/v1/orders/{uuid7()}/cancel"),
        ("post", f"/api/v1/orders/{uuid7()}/payments"),
        ("post", f"/api/v1/orders/{uuid7()}/ship"),
        ("get", "/api/v1/orders/admin"),
    ],
)
def test_nobody_gets_in_without_a_token(db: None, api: Any, method: str, path: str):
    response = getattr(api.anonymous(), method)(path)

    _problem(response, 401, "unauthorized")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_another_persons_order_is_not_there(client: Any, api: Any):
    order_id = _order(client).json()["id"]
    other = api.as_user()

    _problem(other.get(f"/api/v1/orders/{order_id}"), 404, "not_found")
    _problem(other.post(f"/api/v1/orders/{order_id}/cancel"), 404, "not_found")
    response = other.post(f"/api/v1/orders/{order_id}/payments", headers={"Idempotency-Key": "k"})
    _problem(response, 404, "not_found")
    assert other.get("/api/v1/orders").json()["results"] == []


def test_a_list_is_ones_own_newest_first_by_cursor(api: Any, db: None):
    client = api.as_user()
    orders = OrderFactory.create_batch(5, user_id=client.user_id)
    OrderFactory.create()

    page = client.get("/api/v1/orders?page_size=3").json()
    rest = client.get(page["next"]).json()

    assert page["previous"] is None
    assert rest["next"] is None
    ids = [document["id"] for document in page["results"] + rest["results"]]
    assert ids == [str(order.id) for order in reversed(orders)]
    assert list(page["results"][0]) == ORDER_FIELDS


def test_a_quote_has_the_totals_and_lines_of_the_order(client: Any, shop: Shop, buyer: Buyer):
    address_id = shop.add_address(buyer.id)

    response = client.post(
        "/api/v1/orders/quote", {"address_id": str(address_id), "shipping_method": "standard"}
    )

    assert response.status_code == 200
    quote = response.json()
    order = _order(client).json()
    for name in ("lines", "subtotal", "discount", "shipping", "tax", "tax_included", "total"):
        assert quote[name] == order[name]
    assert quote["cart_version"] == 1


def test_shipping_methods_are_for_everybody(api: Any, db: None):
    ShippingMethodFactory.create()

    response = api.anonymous().get("/api/v1/orders/shipping-methods?country=GB")

    assert response.json() == {
        "results": [
            {
                "code": "standard",
                "name": "Tracked 48",
                "price": {"amount": 399, "currency": "USD"},
                "min_days": 2,
                "max_days": 4,
            }
        ]
    }
    assert api.anonymous().get("/api/v1/orders/shipping-methods?country=FR").json() == {"results": []}
    for query in ("", "?country=gb", "?country=GBR"):
        _problem(api.anonymous().get(f"/api/v1/orders/shipping-methods{query}"), 422, "validation_failed")


def test_an_order_is_cancelled_and_shown(client: Any):
    order_id = _order(client).json()["id"]

    response = client.post(f"/api/v1/orders/{order_id}/cancel")

    assert response.status_code == 200
    document = response.json()
    assert document["status"] == "cancelled"
    assert document["payment"]["status"] == "canceled"
    assert [entry["reason"] for entry in document["history"]] == [None, "buyer"]
    _problem(client.post(f"/api/v1/orders/{order_id}/cancel"), 409, "order_not_cancellable")


def test_an_order_that_has_changed_since_it_was_read_is_not_cancelled(
    client: Any, shop: Shop, buyer: Buyer, deliver: Any
):
    order_id = _order(client).json()["id"]
    etag = client.get(f"/api/v1/orders/{order_id}").headers["ETag"]
    deliver(payment_succeeded(shop.move_payment(buyer.order().payment_id, "succeeded")))

    stale = client.post(f"/api/v1/orders/{order_id}/cancel", headers={"If-Match": etag})
    _problem(stale, 412, "precondition_failed")
    fresh = client.get(f"/api/v1/orders/{order_id}").headers["ETag"]
    assert fresh != etag

    assert client.post(f"/api/v1/orders/{order_id}/cancel", headers={"If-Match": fresh}).status_code == 200


def test_a_new_payment_for_an_unpaid_order(client: Any, shop: Shop):
    order = _order(client).json()
    path = f"/api/v1/orders/{order['id']}/payments"

    response = client.post(path, {"payment_provider": "sandbox"}, headers={"Idempotency-Key": "p-1"})

    assert response.status_code == 201
    payment = response.json()
    assert list(payment) == ["id", "order_id", "status", "amount", "refunded", "provider", "action"]
    assert payment["id"] != order["payment"]["id"]
    assert client.get(f"/api/v1/orders/{order['id']}").json()["payment"]["id"] == payment["id"]

    again = client.post(path, {"payment_provider": "sandbox"}, headers={"Idempotency-Key": "p-1"})
    assert again.content == response.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(shop.payments) == 2

    _problem(client.post(path, {}, headers={"Idempotency-Key": "p-1"}), 422, "idempotency_key_reused")
    _problem(client.post(path, {}), 400, "idempotency_key_required")


def test_a_paid_order_takes_no_new_payment_and_the_key_stays_free(
    client: Any, shop: Shop, buyer: Buyer, deliver: Any
):
    order_id = _order(client).json()["id"]
    deliver(payment_succeeded(shop.move_payment(buyer.order().payment_id, "succeeded")))

    for _ in range(2):
        response = client.post(f"/api/v1/orders/{order_id}/payments", headers={"Idempotency-Key": "p-1"})
        _problem(response, 409, "order_not_payable")


def test_staff_ship_and_deliver(client: Any, staff: Any, shop: Shop, buyer: Buyer, deliver: Any):
    order_id = _order(client).json()["id"]
    parcel = {"carrier": "DHL", "tracking_number": "JD014600"}
    _problem(staff.post(f"/api/v1/orders/{order_id}/ship", parcel), 409, "order_not_shippable")
    deliver(payment_succeeded(shop.move_payment(buyer.order().payment_id, "succeeded")))

    _problem(client.post(f"/api/v1/orders/{order_id}/ship", parcel), 403, "permission_denied")
    _problem(staff.post(f"/api/v1/orders/{order_id}/ship", {"carrier": "DHL"}), 422, "validation_failed")
    response = staff.post(f"/api/v1/orders/{order_id}/ship", parcel)
    assert (response.status_code, response.json()["status"]) == (200, "shipped")
    assert response.json()["fulfillment_status"] == "fulfilled"

    _problem(client.post(f"/api/v1/orders/{order_id}/cancel"), 409, "order_not_cancellable")
    _problem(client.post(f"/api/v1/orders/{order_id}/deliver"), 403, "permission_denied")
    assert staff.post(f"/api/v1/orders/{order_id}/deliver").json()["status"] == "delivered"
    _problem(staff.post(f"/api/v1/orders/{order_id}/deliver"), 409, "order_not_deliverable")


def test_the_list_of_staff_is_numbered_and_filtered(staff: Any, client: Any, db: None):
    orders = OrderFactory.create_batch(3)
    cancelled = OrderFactory.create(status="cancelled", close_at=None)

    document = staff.get("/api/v1/orders/admin?page_size=2").json()
    assert (document["count"], len(document["results"])) == (4, 2)
    only = staff.get("/api/v1/orders/admin?status=cancelled").json()["results"]
    assert [order["id"] for order in only] == [str(cancelled.id)]
    mine = staff.get(f"/api/v1/orders/admin?user_id={orders[0].user_id}").json()["results"]
    assert [UUID(order["id"]) for order in mine] == [orders[0].id]
    _problem(staff.get("/api/v1/orders/admin?status=draft"), 422, "validation_failed")
    _problem(client.get("/api/v1/orders/admin"), 403, "permission_denied")


def test_staff_see_and_cancel_the_orders_of_others(client: Any, staff: Any):
    order_id = _order(client).json()["id"]

    assert staff.get(f"/api/v1/orders/{order_id}").status_code == 200
    document = staff.post(f"/api/v1/orders/{order_id}/cancel").json()
    assert document["history"][-1]["reason"] == "staff"
