"""The money of one order, moved by several at once."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import pytest

from orders import services
from orders.exceptions import RefundExceedsPayment
from orders.models import Refund
from shared_lib.contracts.events import OrderConfirmed
from shared_lib.ids import uuid7
from shared_lib.money import Money
from shared_lib.testing.races import at_once
from tests.conftest import Buyer
from tests.messages import payment_succeeded
from tests.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)


def test_refunds_of_one_order_at_once_never_exceed_what_was_paid(paid: Buyer) -> None:
    """43.97 were paid: two of 20.00 fit, however many ask."""
    ask = partial(services.refund_order, order_id=paid.order().id, who=uuid7(), amount=Money(2000, "USD"))

    results = at_once(*[ask] * 6)

    assert Counter(type(result) for result in results) == {Refund: 2, RefundExceedsPayment: 4}
    assert sum(refund.amount for refund in Refund.objects.all()) == 4000


def test_a_payment_told_several_times_at_once_confirms_the_order_once(
    make_buyer: Any, shop: Shop, deliver: Any, published: Any
) -> None:
    for _ in range(4):
        buyer = make_buyer()
        buyer.place()
        order = buyer.order()
        message = payment_succeeded(shop.move_payment(order.payment_id, "succeeded"))

        results = at_once(*[partial(deliver, message)] * 4)

        assert all(isinstance(result, list) for result in results), results
        assert buyer.order().status == "confirmed"
        assert [event.order_id for event in published(OrderConfirmed)].count(order.id) == 1
