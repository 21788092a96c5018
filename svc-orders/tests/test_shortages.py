"""Money that came so late that the stock was gone: messages as svc-catalog sends them."""

from __future__ import annotations

from typing import Any

import pytest

from orders import services
from orders.models import Refund
from shared_lib.contracts.events import OrderCancelled
from shared_lib.ids import uuid7
from tests.conftest import Buyer
from tests.invariants import assert_nothing_is_lost
from tests.messages import payment_succeeded, stock_shortage
from tests.shop import Shop


def test_an_order_without_stock_is_cancelled_and_its_money_goes_back(
    paid: Buyer, shop: Shop, published: Any, deliver: Any
):
    order = paid.order()

    deliver(stock_shortage(order.id, paid.variant))

    order.refresh_from_db()
    assert (order.status, order.payment_status) == ("cancelled", "paid")
    assert paid.history()[-1] == ("cancelled", "out_of_stock", None)
    [event] = published(OrderCancelled)
    assert (event.reason, event.was_confirmed, event.version) == ("out_of_stock", True, order.version)
    refund = Refund.objects.get()
    assert (refund.amount, refund.payment_id) == (order.total_amount, order.payment_id)
    services.send_refund(refund.id)
    assert list(shop.refunds) == [str(refund.id)]
    assert_nothing_is_lost(shop)


def test_a_shortage_that_is_told_again_changes_nothing(paid: Buyer, published: Any, deliver: Any):
    message = stock_shortage(paid.order().id, paid.variant)
    [event_id] = deliver(message)
    before = paid.order().version

    deliver(message, again=event_id)
    deliver(message, message)

    assert paid.order().version == before
    assert len(published(OrderCancelled)) == Refund.objects.count() == 1


def test_an_order_that_the_buyer_cancelled_first_stays_as_it_is(paid: Buyer, published: Any, deliver: Any):
    order = services.cancel_order(order_id=paid.order().id, who=paid.id)

    deliver(stock_shortage(order.id, paid.variant))

    assert [event.reason for event in published(OrderCancelled)] == ["buyer"]
    assert Refund.objects.count() == 1


def test_an_order_that_has_been_shipped_is_not_cancelled(paid: Buyer, published: Any, deliver: Any):
    order = services.ship_order(
        order_id=paid.order().id, who=uuid7(), carrier="DHL", tracking_number="JD0002"
    )

    deliver(stock_shortage(order.id, paid.variant))

    assert paid.order().status == "shipped"
    assert not published(OrderCancelled)
    assert not Refund.objects.exists()


def test_a_late_copy_of_the_money_does_not_bring_the_order_back(paid: Buyer, shop: Shop, deliver: Any):
    order = paid.order()
    deliver(stock_shortage(order.id, paid.variant))

    deliver(payment_succeeded(shop.payments[str(order.payment_id)]))

    assert paid.order().status == "cancelled"
    assert Refund.objects.count() == 1


def test_a_shortage_of_an_order_that_was_never_confirmed_is_kept_for_people(buyer: Buyer, deliver: Any):
    buyer.place()
    with pytest.raises(AssertionError, match="is not confirmed here"):
        deliver(stock_shortage(buyer.order().id, buyer.variant))
    with pytest.raises(AssertionError, match="is not confirmed here"):
        deliver(stock_shortage(uuid7(), buyer.variant))
    assert buyer.order().status == "awaiting_payment"
