from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from django.utils import timezone

from orders import selectors
from orders.models import Order, OrderHistory, OrderPayment, Shipment, ShipmentLine
from shared_lib.api.encoders import dumps
from shared_lib.auth.users import TokenUser
from shared_lib.exceptions import NotFound
from shared_lib.ids import uuid7
from tests.factories import OrderFactory, ShippingMethodFactory

pytestmark = pytest.mark.django_db


def _user(user_id: Any = None, *roles: str) -> TokenUser:
    return TokenUser({"sub": str(user_id or uuid7()), "sid": str(uuid7()), "roles": roles, "iat": 0})


def _ship(order: Order) -> None:
    shipment = Shipment.objects.create(
        order=order, carrier="DHL", tracking_number="1", shipped_by=uuid7(), delivered_at=timezone.now()
    )
    for line in order.lines.all():
        ShipmentLine.objects.create(shipment=shipment, line=line, quantity=1)


def test_a_list_needs_as_many_queries_for_twenty_orders_as_for_one(django_assert_num_queries: Any):
    user_id = uuid7()
    for count in (1, 20):
        for order in OrderFactory.create_batch(count, user_id=user_id):
            _ship(order)
        with django_assert_num_queries(5):
            for order in selectors.orders_of(user_id):
                selectors.order_document(order)


@pytest.mark.parametrize("state", ["plain", "creating", "everything"])
def test_one_order_needs_one_query_and_is_the_same_as_in_a_list(django_assert_num_queries: Any, state: str):
    order = OrderFactory.create()
    payments = OrderPayment.objects.filter(order=order)
    if state == "creating":
        payments.update(status="creating")
    if state == "everything":
        payments.update(action={"type": "redirect", "url": 'https://bank.test/3ds?a=1&b="ü"'})
        for position in (2, 1):
            line = order.lines.get(position=0)
            line.pk, line.position, line.name = uuid7(), position, f'"Größe" {position}\n'
            line.save(force_insert=True)
        _ship(order)
        Shipment.objects.create(order=order, carrier="Ü", tracking_number="2", shipped_by=uuid7())
        OrderHistory.objects.create(
            order=order,
            status="cancelled",
            at=datetime(2026, 3, 1, 5, 4, 3, 21999, tzinfo=UTC),
            reason="buyer",
        )

    with django_assert_num_queries(1):
        version, document = selectors.get_order_json(order.id, user=_user(order.user_id))

    (listed,) = selectors.orders_of(order.user_id)
    assert version == order.version
    assert orjson.loads(document) == orjson.loads(dumps(selectors.order_document(listed)))


def test_an_order_is_found_by_its_buyer_and_by_staff_only():
    order = OrderFactory.create()

    for user in (_user(order.user_id), _user(None, "staff")):
        assert selectors.get_order_json(order.id, user=user)[0] == 1
    for user in (_user(), _user(None, "seller")):
        with pytest.raises(NotFound):
            selectors.get_order_json(order.id, user=user)


def test_a_hidden_draft_is_found_by_nobody():
    draft = Order.objects.create(user_id=uuid7(), currency="USD", version=0)

    for user in (_user(draft.user_id), _user(None, "staff")):
        with pytest.raises(NotFound):
            selectors.get_order_json(draft.id, user=user)
    assert not selectors.orders_of(draft.user_id).exists()
    assert not selectors.orders_for(_user(None, "staff"), {}).exists()


def test_a_payment_that_is_only_being_made_is_not_shown():
    order = OrderFactory.create()
    assert selectors.order_document(order)["payment"]["id"] == order.payment_id
    OrderPayment.objects.filter(pk=order.payment_id).update(status="creating")
    order = Order.objects.get(pk=order.pk)

    assert selectors.order_document(order)["payment"] is None


def test_what_stands_in_the_way_of_a_new_order_of_a_cart():
    cart_id = uuid7()
    unpaid = OrderFactory.create(cart_id=cart_id, cart_version=1)
    bought = OrderFactory.create(
        cart_id=cart_id, cart_version=2, status="confirmed", payment_status="paid", close_at=None
    )
    OrderFactory.create(cart_id=cart_id, cart_version=2, status="cancelled", close_at=None)
    OrderFactory.create(cart_version=2)

    assert selectors.earlier_orders_of_cart(cart_id, 2) == [unpaid.id, bought.id]
    assert selectors.earlier_orders_of_cart(cart_id, 3) == [unpaid.id]


def test_shipping_methods_are_those_of_the_country_that_are_offered_cheapest_first():
    ShippingMethodFactory.create(code="express", price_amount=899)
    ShippingMethodFactory.create(code="standard", price_amount=399)
    ShippingMethodFactory.create(code="old", price_amount=1, is_active=False)
    ShippingMethodFactory.create(country="US", code="air")

    assert [method.code for method in selectors.shipping_methods("GB")] == ["standard", "express"]
    assert selectors.shipping_methods("FR") == []
