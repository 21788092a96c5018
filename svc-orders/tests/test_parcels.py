"""Orders of several sellers: each sees and ships lines of their own."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from orders import services
from orders.exceptions import LinesNotShippable, OrderNotCancellable, OrderNotShippable
from orders.models import OrderLine, Shipment, ShipmentLine
from shared_lib.contracts.events import OrderCancelled, OrderShipped
from shared_lib.exceptions import NotFound
from shared_lib.ids import uuid7
from tests.conftest import Buyer
from tests.messages import payment_succeeded, stock_shortage
from tests.shop import Shop

PARCEL: dict[str, Any] = {"carrier": "DHL", "tracking_number": "JD014600"}


@dataclass
class Market:
    """A confirmed order of two pieces of `mine`, sold by `seller`, and one of `other`, sold by somebody else."""

    buyer: Buyer
    order_id: UUID
    seller: UUID
    mine: UUID
    other: UUID


@pytest.fixture
def market(buyer: Buyer, shop: Shop, deliver: Any) -> Market:
    mine, other = shop.sell(500), shop.sell(700)
    shop.fill_cart(buyer.id, (mine, 2), (other, 1))
    buyer.place()
    deliver(payment_succeeded(shop.move_payment(buyer.order().payment_id, "succeeded")))
    seller = uuid7()
    OrderLine.objects.filter(variant_id=mine).update(seller_id=seller)
    OrderLine.objects.filter(variant_id=other).update(seller_id=uuid7())
    return Market(buyer, buyer.order().id, seller, mine, other)


def _ship(market: Market, who: UUID, **more: Any) -> Any:
    values = {"is_staff": False, **PARCEL, **more}
    return services.ship_order(order_id=market.order_id, who=who, **values)


def test_an_order_is_shipped_when_the_last_seller_has_shipped(market: Market, published: Any):
    order = _ship(market, market.seller)
    assert (order.status, order.fulfillment_status) == ("confirmed", "partial")
    assert market.buyer.history()[-1] == ("confirmed", "partly_shipped", market.seller)

    other_seller = OrderLine.objects.get(variant_id=market.other).seller_id
    order = _ship(market, other_seller)

    assert (order.status, order.fulfillment_status) == ("shipped", "fulfilled")
    assert market.buyer.history()[-1] == ("shipped", "", other_seller)
    first, second = published(OrderShipped)
    assert [(line.variant_id, line.quantity) for line in first.lines] == [(market.mine, 2)]
    assert [(line.variant_id, line.quantity) for line in second.lines] == [(market.other, 1)]
    assert second.version == first.version + 1 == order.version


def test_a_line_may_go_in_several_parcels(market: Market):
    _ship(market, market.seller, lines={market.mine: 1})
    with pytest.raises(LinesNotShippable) as refusal:
        _ship(market, market.seller, lines={market.mine: 2})
    assert refusal.value.extra["lines"] == [{"variant_id": str(market.mine), "requested": 2, "left": 1}]

    _ship(market, market.seller)

    assert [[row.quantity for row in parcel.lines.all()] for parcel in Shipment.objects.order_by("id")] == [
        [1],
        [1],
    ]
    with pytest.raises(OrderNotShippable, match="All of it has been shipped"):
        _ship(market, market.seller)


def test_a_seller_ships_nothing_of_others(market: Market):
    with pytest.raises(LinesNotShippable):
        _ship(market, market.seller, lines={market.other: 1})
    with pytest.raises(NotFound):
        _ship(market, uuid7())
    assert not Shipment.objects.exists()


def test_staff_ships_what_is_left_of_everybody(market: Market):
    _ship(market, market.seller, lines={market.mine: 1})

    order = _ship(market, uuid7(), is_staff=True)

    assert order.status == "shipped"
    parcel = Shipment.objects.order_by("id").last()
    assert parcel is not None
    assert [row.quantity for row in parcel.lines.order_by("line__position")] == [1, 1]


def test_an_order_that_has_left_in_part_is_not_cancelled(market: Market, published: Any, deliver: Any):
    _ship(market, market.seller)

    with pytest.raises(OrderNotCancellable, match="part of it has been shipped"):
        services.cancel_order(order_id=market.order_id, who=market.buyer.id)
    deliver(stock_shortage(market.order_id, market.other))

    assert market.buyer.order().status == "confirmed"
    assert not published(OrderCancelled)


def test_a_seller_sees_orders_with_own_lines_and_nothing_else_of_them(market: Market, api: Any):
    _ship(market, market.seller, lines={market.mine: 1})
    client = api.as_user(market.seller, roles=("seller",))

    listed = client.get("/api/v1/orders/admin").json()

    assert listed["count"] == 1
    [document] = listed["results"]
    assert list(document) == [
        "id",
        "number",
        "status",
        "fulfillment_status",
        "lines",
        "shipping_address",
        "shipping_method",
        "created_at",
        "shipments",
    ]
    [line] = document["lines"]
    assert (line["variant_id"], line["quantity"], line["shipped_quantity"]) == (str(market.mine), 2, 1)
    assert document["shipments"][0]["lines"] == [{"variant_id": str(market.mine), "quantity": 1}]
    path = f"/api/v1/orders/admin/{market.order_id}"
    assert client.get(path).json() == document

    stranger = api.as_user(roles=("seller",))
    assert stranger.get("/api/v1/orders/admin").json()["count"] == 0
    assert stranger.get(path).status_code == 404
    assert client.get(f"/api/v1/orders/{market.order_id}").status_code == 404
    assert api.as_user(market.buyer.id).get(path).status_code == 403


def test_a_seller_does_not_see_parcels_and_orders_that_are_no_business_of_theirs(
    market: Market, shop: Shop, api: Any
):
    _ship(market, uuid7(), is_staff=True, lines={market.other: 1})
    client = api.as_user(market.seller, roles=("seller",))
    assert client.get(f"/api/v1/orders/admin/{market.order_id}").json()["shipments"] == []

    shop.fill_cart(market.buyer.id, (market.mine, 1))
    unpaid = market.buyer.place("key-2")["id"]
    OrderLine.objects.filter(order_id=unpaid).update(seller_id=market.seller)

    assert client.get("/api/v1/orders/admin").json()["count"] == 1
    assert client.get(f"/api/v1/orders/admin/{unpaid}").status_code == 404


def test_a_seller_ships_through_the_api(market: Market, api: Any):
    client = api.as_user(market.seller, roles=("seller",))
    path = f"/api/v1/orders/{market.order_id}/ship"
    body: dict[str, Any] = {**PARCEL, "lines": [{"variant_id": str(market.mine), "quantity": 1}]}

    answer = client.post(path, body)

    assert answer.status_code == 200
    assert answer.json()["lines"][0]["shipped_quantity"] == 1
    stale = client.post(path, body, headers={"If-Match": '"something-old"'})
    assert stale.status_code == 412
    assert client.post(path, body, headers={"If-Match": answer.headers["ETag"]}).status_code == 200
    refused = client.post(path, body)
    assert (refused.status_code, refused.json()["code"]) == (409, "lines_not_shippable")
    twice = client.post(path, {**body, "lines": body["lines"] * 2})
    assert (twice.status_code, twice.json()["errors"][0]["code"]) == (422, "duplicate")
    assert client.post(path, {**body, "lines": []}).status_code == 422
    assert api.as_user(market.buyer.id).post(path, body).status_code == 403


def test_the_buyer_sees_what_is_in_which_parcel(market: Market, api: Any):
    _ship(market, market.seller)

    shown = api.as_user(market.buyer.id).get(f"/api/v1/orders/{market.order_id}").json()

    [parcel] = shown["shipments"]
    assert (parcel["carrier"], parcel["tracking_number"], parcel["delivered_at"]) == ("DHL", "JD014600", None)
    assert parcel["lines"] == [{"variant_id": str(market.mine), "quantity": 2}]
    assert (shown["status"], shown["fulfillment_status"]) == ("confirmed", "partial")


def test_staff_finds_orders_by_seller(market: Market, api: Any):
    staff = api.as_user(roles=("staff",))
    assert staff.get(f"/api/v1/orders/admin?seller_id={market.seller}").json()["count"] == 1
    assert staff.get(f"/api/v1/orders/admin?seller_id={uuid7()}").json()["count"] == 0


def test_parcels_of_before_get_the_lines_that_they_held(market: Market):
    """Once an order went in one parcel, and nothing said which lines were in it."""
    services.ship_order(order_id=market.order_id, who=uuid7(), is_staff=True, **PARCEL)
    ShipmentLine.objects.all().delete()
    OrderLine.objects.update(shipped_quantity=0)
    fill = import_module("orders.migrations.0005_lines_of_earlier_parcels").FILL

    for _ in range(2):
        with connection.cursor() as cursor:
            cursor.execute(fill)

        assert {line.variant_id: line.shipped_quantity for line in OrderLine.objects.all()} == {
            market.mine: 2,
            market.other: 1,
        }
        assert sorted(ShipmentLine.objects.values_list("quantity", flat=True)) == [1, 2]
