from __future__ import annotations

from typing import Any

import pytest

from orders import services
from orders.exceptions import OrderNotDeliverable, OrderNotShippable
from orders.models import Shipment
from shared_lib.contracts.events import OrderDelivered, OrderShipped
from shared_lib.ids import uuid7
from tests.conftest import Buyer


def test_a_confirmed_order_ships_and_arrives(paid: Buyer, published: Any):
    staff = uuid7()
    services.ship_order(order_id=paid.order().id, who=staff, carrier="DHL", tracking_number="JD014600")
    order = paid.order()
    assert (order.status, order.fulfillment_status) == ("shipped", "fulfilled")
    (shipped,) = published(OrderShipped)
    assert (shipped.carrier, shipped.tracking_number, shipped.version) == ("DHL", "JD014600", order.version)
    assert paid.history()[-1] == ("shipped", "", staff)

    services.deliver_order(order_id=order.id, who=staff)
    assert paid.order().status == "delivered"
    assert published(OrderDelivered)[0].version == paid.order().version
    assert Shipment.objects.get().delivered_at is not None


def test_an_unpaid_order_does_not_ship(buyer: Buyer):
    buyer.place()

    with pytest.raises(OrderNotShippable):
        services.ship_order(order_id=buyer.order().id, who=uuid7(), carrier="DHL", tracking_number="1")


def test_an_order_ships_once(paid: Buyer, published: Any):
    services.ship_order(order_id=paid.order().id, who=uuid7(), carrier="DHL", tracking_number="1")

    with pytest.raises(OrderNotShippable):
        services.ship_order(order_id=paid.order().id, who=uuid7(), carrier="DHL", tracking_number="2")

    assert len(published(OrderShipped)) == 1


def test_what_was_not_shipped_does_not_arrive(paid: Buyer):
    with pytest.raises(OrderNotDeliverable):
        services.deliver_order(order_id=paid.order().id, who=uuid7())
