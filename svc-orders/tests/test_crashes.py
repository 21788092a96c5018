"""The process dies at every failpoint outside a checkout's own; afterwards whoever it was comes again, and sweepers run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from orders import services
from orders.models import OrderPayment, OrderStatus, Refund, Return
from shared_lib.exceptions import DomainError
from shared_lib.failpoints import NAMES
from shared_lib.ids import uuid7
from tests.conftest import Buyer
from tests.crashes import die_at, let_time_pass
from tests.invariants import assert_nothing_is_lost
from tests.messages import (
    payment_canceled,
    payment_disputed,
    payment_refund_failed,
    payment_refunded,
    payment_succeeded,
    stock_shortage,
)
from tests.shop import Shop

OF_CHECKOUTS = ("checkout.", "offer.")
POINTS = [name for name in NAMES["svc-orders"] if not name.startswith(OF_CHECKOUTS)]
Act = Callable[[], Any]
Arrange = Callable[[Buyer, Any], Act]

ARRANGE: dict[str, Arrange] = {}


def arranges(*steps: str) -> Callable[[Arrange], Arrange]:
    """The function brings a buyer to where the returned action comes to these steps."""

    def note(arrange: Arrange) -> Arrange:
        ARRANGE.update(dict.fromkeys(steps, arrange))
        return arrange

    return note


@arranges("close.wish", "close.cancel_payment", "close.settle")
def _cancelling(buyer: Buyer, deliver: Any) -> Act:
    buyer.place()
    order_id = buyer.order().id
    return lambda: services.cancel_order(order_id=order_id, who=buyer.id)


@arranges("payment.mark_canceled")
def _cancelling_an_order_whose_payment_is_not_known(buyer: Buyer, deliver: Any) -> Act:
    cancel = _cancelling(buyer, deliver)
    buyer.shop.payments.clear()
    return cancel


@arranges("close.claim")
def _expiring(buyer: Buyer, deliver: Any) -> Act:
    buyer.place()
    order = buyer.order()
    order.close_at = order.created_at
    order.save()
    return services.cancel_expired_orders


@arranges("close.replace")
def _replacing(buyer: Buyer, deliver: Any) -> Act:
    buyer.place("key-0")
    buyer.shop.fill_cart(buyer.id, (buyer.variant, 1))
    return buyer.place


@arranges("payment.attach", "payment.create", "payment.take", "payment.drop", "payment.take_dropped")
def _paying_anew(buyer: Buyer, deliver: Any) -> Act:
    buyer.place()
    order_id, payment_id = buyer.order().id, uuid7()
    return lambda: services.start_payment(
        order_id=order_id, user_id=buyer.id, payment_id=payment_id, provider=None
    )


@arranges("event.payment")
def _hearing_of_the_money(buyer: Buyer, deliver: Any) -> Act:
    buyer.place()
    message = payment_succeeded(buyer.shop.move_payment(buyer.order().payment_id, "succeeded"))
    return lambda: deliver(message)


@arranges("event.dispute")
def _hearing_of_a_dispute(buyer: Buyer, deliver: Any) -> Act:
    _hearing_of_the_money(buyer, deliver)()
    message = payment_disputed(buyer.shop.move_payment(buyer.order().payment_id, "succeeded"))
    return lambda: deliver(message)


@arranges("refund.claim", "refund.send", "refund.note")
def _sending_money_back(buyer: Buyer, deliver: Any) -> Act:
    _hearing_of_the_money(buyer, deliver)()
    services.cancel_order(order_id=buyer.order().id, who=buyer.id)
    refund_id = Refund.objects.get().id
    return lambda: services.send_refund(refund_id)


@arranges("refund.fail")
def _sending_money_back_in_vain(buyer: Buyer, deliver: Any) -> Act:
    send = _sending_money_back(buyer, deliver)
    # Somebody has paid all of it back by hand at the provider.
    refund = Refund.objects.get()
    buyer.shop.refunds["by-hand"] = {
        "id": "by-hand",
        "amount": {"amount": refund.amount, "currency": "USD"},
        "status": "succeeded",
    }
    return send


@arranges("event.refund_failed")
def _hearing_that_a_refund_failed(buyer: Buyer, deliver: Any) -> Act:
    _sending_money_back(buyer, deliver)()
    refund = Refund.objects.get()
    payment = buyer.shop.move_payment(refund.payment_id, "succeeded")
    message = payment_refund_failed(payment, refund_id=refund.id, amount=refund.amount)
    return lambda: deliver(message)


@arranges("event.shortage")
def _hearing_of_missing_stock(buyer: Buyer, deliver: Any) -> Act:
    _hearing_of_the_money(buyer, deliver)()
    message = stock_shortage(buyer.order().id, buyer.variant)
    return lambda: deliver(message)


@arranges("event.refund")
def _hearing_of_a_refund(buyer: Buyer, deliver: Any) -> Act:
    _sending_money_back(buyer, deliver)()
    refund = Refund.objects.get()
    payment = buyer.shop.move_payment(refund.payment_id, "succeeded")
    message = payment_refunded(payment, refund_id=refund.id, amount=refund.amount, total=refund.amount)
    return lambda: deliver(message)


@arranges("fulfilment.ship")
def _shipping(buyer: Buyer, deliver: Any) -> Act:
    _hearing_of_the_money(buyer, deliver)()
    order_id = buyer.order().id
    return lambda: services.ship_order(
        order_id=order_id, who=uuid7(), carrier="DHL", tracking_number="JD0002"
    )


@arranges("fulfilment.deliver")
def _delivering(buyer: Buyer, deliver: Any) -> Act:
    _shipping(buyer, deliver)()
    order_id = buyer.order().id
    return lambda: services.deliver_order(order_id=order_id, who=uuid7())


@arranges("refund.request")
def _asking_for_money_back(buyer: Buyer, deliver: Any) -> Act:
    _hearing_of_the_money(buyer, deliver)()
    order_id = buyer.order().id
    return lambda: services.refund_order(order_id=order_id, who=uuid7(), lines={buyer.variant: 1})


@arranges("return.request")
def _asking_to_send_goods_back(buyer: Buyer, deliver: Any) -> Act:
    _delivering(buyer, deliver)()
    order_id = buyer.order().id
    return lambda: services.request_return(
        order_id=order_id, user_id=buyer.id, lines={buyer.variant: 2}, reason="too small"
    )


@arranges("return.approve")
def _approving_a_return(buyer: Buyer, deliver: Any) -> Act:
    _asking_to_send_goods_back(buyer, deliver)()
    return_id = Return.objects.get().id
    return lambda: services.approve_return(return_id=return_id, who=uuid7())


@arranges("return.reject")
def _rejecting_a_return(buyer: Buyer, deliver: Any) -> Act:
    _asking_to_send_goods_back(buyer, deliver)()
    return_id = Return.objects.get().id
    return lambda: services.reject_return(return_id=return_id, who=uuid7(), reason="worn")


@arranges("return.receive")
def _receiving_a_return(buyer: Buyer, deliver: Any) -> Act:
    _approving_a_return(buyer, deliver)()
    return_id = Return.objects.get().id
    return lambda: services.receive_return(return_id=return_id, who=uuid7(), restock=True)


@arranges("undo.decide", "undo.cancel_payment", "undo.return_coupons", "undo.release", "undo.note")
def _failing(buyer: Buyer, deliver: Any) -> Act:
    coupon = {"code": "TEN", "kind": "percent", "basis_points": 1000}
    buyer.shop.fill_cart(buyer.id, (buyer.variant, 2), coupons=[coupon])
    buyer.shop.take_away("pay")
    return buyer.place


@arranges("undo.take_money")
def _failing_with_money_on_its_way(buyer: Buyer, deliver: Any) -> Act:
    def pay(request: Any) -> None:
        for payment in buyer.shop.payments.values():
            if payment["status"] == "requires_payment_method":
                buyer.shop.move_payment(payment["id"], "succeeded")

    buyer.shop.lose_answer("pay")
    buyer.shop.before["cancel"].append(pay)
    return buyer.place


@arranges("undo.claim")
def _sweeping_a_dead_checkout(buyer: Buyer, deliver: Any) -> Act:
    die_at("checkout.reserve.after", buyer.place)
    let_time_pass()
    return services.settle_checkouts


@arranges("undo.forget")
def _forgetting(buyer: Buyer, deliver: Any) -> Act:
    with suppress(DomainError):
        _failing(buyer, deliver)()
    saga = buyer.saga()
    saga.deadline = saga.created_at
    saga.save()
    return services.forget_checkouts


@arranges("quote.variants")
def _quoting(buyer: Buyer, deliver: Any) -> Act:
    request = services.CheckoutRequest(shipping_method="standard", destination=buyer.destination)
    return lambda: services.quote_order(user_id=buyer.id, request=request)


@arranges("shipping.add_method")
def _adding_a_way_to_ship(buyer: Buyer, deliver: Any) -> Act:
    values = {"name": "Post", "price_amount": 1, "currency": "USD", "min_days": 1, "max_days": 2}
    return lambda: services.add_shipping_method(country="DE", code="post", **values)  # type: ignore[arg-type]


def test_there_is_a_way_to_every_point():
    assert set(ARRANGE) == {point.rpartition(".")[0] for point in POINTS}


@pytest.mark.parametrize("again", [True, False], ids=["and comes again", "and nobody comes"])
@pytest.mark.parametrize("point", POINTS)
def test_a_process_may_die_anywhere(buyer: Buyer, shop: Shop, deliver: Any, point: str, again: bool):
    act = ARRANGE[point.rpartition(".")[0]](buyer, deliver)
    die_at(point, act)

    shop.before.clear()
    let_time_pass()
    if again:
        with suppress(DomainError):
            act()
        let_time_pass()
    services.settle_checkouts()
    services.cancel_expired_orders()
    for payment in list(shop.payments.values()):  # what svc-payments tells in any case
        tells = {"succeeded": payment_succeeded, "canceled": payment_canceled}
        if payment["status"] in tells:
            deliver(tells[payment["status"]](payment))
    services.send_due_refunds()

    assert_nothing_is_lost(shop)
    for row in OrderPayment.objects.filter(order__status=OrderStatus.AWAITING_PAYMENT).exclude(
        status="creating"
    ):
        assert row.status == shop.payments[str(row.id)]["status"]
    assert {refund["amount"]["amount"] for refund in shop.refunds.values()} == set(
        Refund.objects.values_list("amount", flat=True)
    )
