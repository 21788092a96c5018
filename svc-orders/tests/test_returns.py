"""Goods that come back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from orders import services
from orders.exceptions import (
    LinesNotReturnable,
    OrderNotReturnable,
    ReturnNotApprovable,
    ReturnNotReceivable,
    ReturnNotRejectable,
)
from orders.models import Refund, Return, Shipment
from shared_lib.contracts.events import OrderReturnReceived, OrderReturnRejected
from shared_lib.exceptions import NotFound
from shared_lib.ids import uuid7
from tests.conftest import Buyer

STAFF = uuid7()


@pytest.fixture
def delivered(paid: Buyer) -> Buyer:
    """A buyer of two at 19.99 whose parcel has arrived."""
    order_id = paid.order().id
    services.ship_order(order_id=order_id, who=STAFF, carrier="DHL", tracking_number="JD0002")
    services.deliver_order(order_id=order_id, who=STAFF)
    return paid


def _request(buyer: Buyer, quantity: int = 1) -> Return:
    return services.request_return(
        order_id=buyer.order().id, user_id=buyer.id, lines={buyer.variant: quantity}, reason="too small"
    )


def _receive(found: Return, *, restock: bool = True) -> Return:
    services.approve_return(return_id=found.id, who=STAFF)
    return services.receive_return(return_id=found.id, who=STAFF, restock=restock)


def test_a_return_that_was_received_pays_back_and_is_told(delivered: Buyer, published: Any):
    found = _receive(_request(delivered))

    refund = Refund.objects.get()
    assert (refund.amount, refund.reason, found.refund_id) == (1999, "returned", refund.id)
    [event] = published(OrderReturnReceived)
    order = delivered.order()
    assert (event.return_id, event.version) == (found.id, order.version)
    assert [(line.variant_id, line.quantity) for line in event.lines] == [(delivered.variant, 1)]
    assert (order.status, order.fulfillment_status) == ("delivered", "fulfilled")
    assert delivered.history()[-3:] == [
        ("delivered", "return_requested", delivered.id),
        ("delivered", "return_approved", STAFF),
        ("delivered", "return_received", STAFF),
    ]


def test_when_everything_is_back_the_order_is_returned(delivered: Buyer):
    _receive(_request(delivered))
    _receive(_request(delivered))

    order = delivered.order()
    assert order.fulfillment_status == "returned"
    assert sorted(Refund.objects.values_list("amount", flat=True)) == [1999, 1999]


def test_what_cannot_be_sold_again_is_paid_back_and_not_restocked(delivered: Buyer, published: Any):
    _receive(_request(delivered), restock=False)

    assert published(OrderReturnReceived)[0].lines == []
    assert Refund.objects.get().amount == 1999


def test_what_was_paid_back_before_is_not_paid_back_twice(delivered: Buyer):
    order_id = delivered.order().id
    services.refund_order(order_id=order_id, who=STAFF, lines={delivered.variant: 2})

    found = _receive(_request(delivered))

    assert found.refund is None
    assert Refund.objects.count() == 1


def test_no_more_goes_back_than_is_left_of_the_payment(delivered: Buyer):
    from shared_lib.money import Money

    order_id = delivered.order().id
    services.refund_order(order_id=order_id, who=STAFF, amount=Money(3000, "USD"))

    found = _receive(_request(delivered))

    assert found.refund is not None
    assert found.refund.amount == 4397 - 3000


def test_a_return_takes_its_steps_in_order_and_each_once(delivered: Buyer, published: Any):
    found = _request(delivered)
    with pytest.raises(ReturnNotReceivable):
        services.receive_return(return_id=found.id, who=STAFF, restock=True)
    _receive(found)
    with pytest.raises(ReturnNotApprovable):
        services.approve_return(return_id=found.id, who=STAFF)
    with pytest.raises(ReturnNotReceivable):
        services.receive_return(return_id=found.id, who=STAFF, restock=True)
    with pytest.raises(NotFound):
        services.approve_return(return_id=uuid7(), who=STAFF)
    assert len(published(OrderReturnReceived)) == Refund.objects.count() == 1


def test_no_more_comes_back_than_was_ordered(delivered: Buyer):
    _request(delivered)
    with pytest.raises(LinesNotReturnable) as refusal:
        _request(delivered, 2)
    assert refusal.value.extra["lines"] == [{"variant_id": str(delivered.variant), "requested": 2, "left": 1}]


def test_what_never_left_cannot_come_back(paid: Buyer):
    with pytest.raises(OrderNotReturnable):
        _request(paid)


def test_after_the_time_for_it_nothing_can_be_sent_back(delivered: Buyer):
    Shipment.objects.update(delivered_at=timezone.now() - timedelta(days=31))
    with pytest.raises(OrderNotReturnable, match="30 days"):
        _request(delivered)


def test_returns_through_the_api(delivered: Buyer, api: Any):
    path = f"/api/v1/orders/{delivered.order().id}/returns"
    client, staff = api.as_user(delivered.id), api.as_user(roles=("staff",))
    body = {"lines": [{"variant_id": str(delivered.variant), "quantity": 1}], "reason": "too small"}
    key = {"Idempotency-Key": "return-1"}

    made = client.post(path, body, headers=key)
    again = client.post(path, body, headers=key)

    assert made.status_code == again.status_code == 201
    assert again.json() == made.json()
    document = made.json()
    assert (document["status"], document["reason"], document["refund"]) == ("requested", "too small", None)
    assert staff.get("/api/v1/orders/admin?return_status=requested").json()["count"] == 1
    steps = f"/api/v1/orders/returns/{document['id']}"
    assert client.post(f"{steps}/approve").status_code == 403
    assert staff.post(f"{steps}/receive").json()["code"] == "return_not_receivable"
    assert staff.post(f"{steps}/approve").json()["status"] == "approved"
    received = staff.post(f"{steps}/receive", {"restock": False})
    assert received.status_code == 200
    assert received.json()["status"] == "received"
    assert received.json()["refund"]["amount"] == {"amount": 1999, "currency": "USD"}
    assert client.get(path).json()["results"] == [received.json()]
    assert staff.get(path).json()["results"] == [received.json()]
    stranger = api.as_user()
    assert stranger.get(path).status_code == 404
    assert stranger.post(path, body).status_code == 404
    assert client.post(path, {"reason": "x"}).status_code == 422
    assert staff.post(f"/api/v1/orders/returns/{uuid7()}/approve").status_code == 404


class TestRejecting:
    def test_the_buyer_is_told_and_reads_why(self, delivered: Buyer, published: Any, api: Any):
        found = _request(delivered)
        url = f"/api/v1/orders/returns/{found.id}/reject"
        answer = api.as_user(STAFF, roles=("staff",)).post(url, {"reason": "It has been worn."})

        assert answer.status_code == 200, answer.content
        own = api.as_user(delivered.id).get(f"/api/v1/orders/{found.order_id}/returns").json()["results"]
        assert own == [answer.json()]
        assert (own[0]["status"], own[0]["rejection_reason"]) == ("rejected", "It has been worn.")
        assert own[0]["rejected_at"] is not None
        assert delivered.history()[-1] == ("delivered", "return_rejected", STAFF)
        [event] = published(OrderReturnRejected)
        order = delivered.order()
        assert (event.return_id, event.user_id, event.version) == (found.id, order.user_id, order.version)
        assert not Refund.objects.exists()

    def test_what_was_rejected_may_be_asked_for_again(self, delivered: Buyer):
        found = _request(delivered, 2)
        with pytest.raises(LinesNotReturnable):
            _request(delivered)
        services.reject_return(return_id=found.id, who=STAFF, reason="no")
        _receive(_request(delivered, 2))
        assert delivered.order().fulfillment_status == "returned"

    def test_only_what_was_asked_for_can_be_rejected_and_that_once(self, delivered: Buyer, published: Any):
        found = _request(delivered)
        services.approve_return(return_id=found.id, who=STAFF)
        with pytest.raises(ReturnNotRejectable):
            services.reject_return(return_id=found.id, who=STAFF, reason="no")
        other = _request(delivered)
        services.reject_return(return_id=other.id, who=STAFF, reason="no")
        for move in (
            lambda: services.reject_return(return_id=other.id, who=STAFF, reason="again"),
            lambda: services.approve_return(return_id=other.id, who=STAFF),
            lambda: services.receive_return(return_id=other.id, who=STAFF, restock=True),
        ):
            with pytest.raises((ReturnNotRejectable, ReturnNotApprovable, ReturnNotReceivable)):
                move()
        assert len(published(OrderReturnRejected)) == 1
        other.refresh_from_db()
        assert other.rejection_reason == "no"

    def test_it_takes_staff_and_a_reason(self, delivered: Buyer, api: Any):
        url = f"/api/v1/orders/returns/{_request(delivered).id}/reject"
        assert api.as_user(delivered.id).post(url, {"reason": "no"}).status_code == 403
        assert api.as_user(roles=("seller",)).post(url, {"reason": "no"}).status_code == 403
        staff = api.as_user(STAFF, roles=("staff",))
        for body in ({}, {"reason": ""}, {"reason": "  "}, {"reason": "x" * 501}):
            assert staff.post(url, body).status_code == 422
        assert staff.post(f"/api/v1/orders/returns/{uuid7()}/reject", {"reason": "no"}).status_code == 404
        assert Return.objects.get().status == "requested"
