from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from orders import services
from orders.exceptions import OrderNotCancellable
from orders.models import Order, Refund
from shared_lib.contracts.events import OrderCancelled, OrderConfirmed
from shared_lib.exceptions import NotFound, ServiceUnavailable
from shared_lib.ids import uuid7
from tests.conftest import Buyer
from tests.crashes import die_at
from tests.messages import payment_attempt_failed, payment_processing, payment_refunded, payment_succeeded
from tests.shop import Shop


def _let_time_pass() -> None:
    Order.objects.filter(close_at__isnull=False).update(close_at=timezone.now() - timedelta(seconds=1))


def _expire() -> None:
    past = timezone.now() - timedelta(seconds=1)
    Order.objects.filter(close_at__isnull=False).update(close_at=past, expires_at=past)


def _cancel(buyer: Buyer) -> Order:
    return services.cancel_order(order_id=buyer.order().id, who=buyer.id)


def test_a_buyer_cancels_an_unpaid_order_once_payments_has_agreed(buyer: Buyer, shop: Shop, published: Any):
    buyer.place()

    order = _cancel(buyer)

    assert (order.status, order.payment_status) == ("cancelled", "unpaid")
    assert buyer.payment()["status"] == "canceled"
    (event,) = published(OrderCancelled)
    assert (event.reason, event.was_confirmed, event.version) == ("buyer", False, buyer.order().version)
    assert [line.quantity for line in event.lines] == [2]
    assert buyer.history()[-1] == ("cancelled", "buyer", buyer.id)
    assert not Refund.objects.exists()


def test_a_cancelled_order_cannot_be_cancelled_again(buyer: Buyer, published: Any):
    buyer.place()
    _cancel(buyer)

    with pytest.raises(OrderNotCancellable):
        _cancel(buyer)

    assert len(published(OrderCancelled)) == 1


def test_only_what_is_not_on_its_way_back_already_is_paid_back(paid: Buyer, shop: Shop, deliver: Any):
    order = paid.order()
    Refund.objects.create(
        order=order,
        payment_id=paid.payment_row().pk,
        currency="USD",
        amount=97,
        reason="damaged",
        status="accepted",
    )
    deliver(
        payment_refunded(
            shop.move_payment(order.payment_id, "succeeded"), refund_id=uuid7(), amount=300, total=300
        )
    )

    _cancel(paid)

    assert Refund.objects.get(reason="order_cancelled").amount == 4397 - 97 - 300


@pytest.mark.django_db(transaction=True)
def test_a_confirmed_order_is_cancelled_and_its_money_goes_back(
    paid: Buyer, published: Any, hints: list[Any]
):
    order = _cancel(paid)

    assert (order.status, order.payment_status) == ("cancelled", "paid")
    (event,) = published(OrderCancelled)
    assert (event.reason, event.was_confirmed) == ("buyer", True)
    refund = Refund.objects.get()
    assert (refund.order_id, refund.payment_id, refund.amount) == (
        order.id,
        order.payment_id,
        order.total_amount,
    )
    assert hints == [("orders.tasks.send_refund", (str(refund.id),))]


def test_a_payment_that_was_quicker_than_the_cancelling_is_paid_back(
    buyer: Buyer, shop: Shop, published: Any
):
    buyer.place()
    shop.move_payment(buyer.order().payment_id, "succeeded")

    order = _cancel(buyer)

    assert order.status == "cancelled"
    assert len(published(OrderConfirmed)) == 1
    (event,) = published(OrderCancelled)
    assert event.was_confirmed
    assert event.version == published(OrderConfirmed)[0].version + 1
    assert Refund.objects.get().amount == order.total_amount


def test_an_order_whose_payment_is_processing_cannot_be_cancelled_now(buyer: Buyer, shop: Shop):
    buyer.place()
    shop.move_payment(buyer.order().payment_id, "processing")

    with pytest.raises(OrderNotCancellable):
        _cancel(buyer)

    order = buyer.order()
    assert (order.status, order.payment_status, order.close_reason) == ("awaiting_payment", "processing", "")


def test_a_shipped_order_cannot_be_cancelled(paid: Buyer):
    services.ship_order(order_id=paid.order().id, who=uuid7(), carrier="DHL", tracking_number="1")

    with pytest.raises(OrderNotCancellable):
        _cancel(paid)

    assert not Refund.objects.exists()


def test_nobody_cancels_the_order_of_somebody_else_but_staff_does(buyer: Buyer, published: Any):
    buyer.place()
    with pytest.raises(NotFound):
        services.cancel_order(order_id=buyer.order().id, who=uuid7())

    services.cancel_order(order_id=buyer.order().id, who=uuid7(), is_staff=True)

    assert published(OrderCancelled)[0].reason == "staff"


def test_a_wish_to_cancel_that_payments_did_not_hear_is_fulfilled_later(
    buyer: Buyer, shop: Shop, published: Any
):
    buyer.place()
    come_back = shop.take_away("cancel")
    with pytest.raises(ServiceUnavailable):
        _cancel(buyer)
    assert buyer.order().status == "awaiting_payment"
    services.cancel_expired_orders()
    assert buyer.order().status == "awaiting_payment"

    come_back()
    _let_time_pass()
    services.cancel_expired_orders()

    assert buyer.order().status == "cancelled"
    assert published(OrderCancelled)[0].reason == "buyer"
    assert buyer.history()[-1] == ("cancelled", "buyer", buyer.id)


@pytest.mark.parametrize("point", ["close.wish.after", "close.cancel_payment.after", "close.settle.before"])
def test_a_process_that_dies_while_it_cancels_leaves_it_to_the_sweeper(
    buyer: Buyer, shop: Shop, published: Any, point: str
):
    buyer.place()
    die_at(point, lambda: _cancel(buyer))

    _let_time_pass()
    services.cancel_expired_orders()

    assert buyer.order().status == "cancelled"
    assert [event.reason for event in published(OrderCancelled)] == ["buyer"]


def test_an_order_that_is_not_paid_in_time_cancels_itself(buyer: Buyer, shop: Shop, published: Any):
    buyer.place()
    services.cancel_expired_orders()
    assert buyer.order().status == "awaiting_payment"

    _expire()
    assert services.cancel_expired_orders() == 1

    assert buyer.order().status == "cancelled"
    assert buyer.payment()["status"] == "canceled"
    assert [event.reason for event in published(OrderCancelled)] == ["expired"]
    assert buyer.history()[-1] == ("cancelled", "expired", None)
    assert services.cancel_expired_orders() == 0


def test_an_expired_order_that_payments_says_is_paid_is_confirmed(buyer: Buyer, shop: Shop, published: Any):
    buyer.place()
    payment = shop.move_payment(buyer.order().payment_id, "succeeded")
    _expire()

    services.cancel_expired_orders()

    assert (buyer.order().status, buyer.order().payment_status) == ("confirmed", "paid")
    assert published(OrderCancelled) == []
    assert published(OrderConfirmed)[0].payment_id == buyer.order().payment_id
    assert payment["status"] == "succeeded"


def test_an_expired_order_whose_event_comes_too_is_confirmed_once(
    buyer: Buyer, shop: Shop, published: Any, deliver: Any
):
    buyer.place()
    payment = shop.move_payment(buyer.order().payment_id, "succeeded")
    _expire()
    services.cancel_expired_orders()

    deliver(payment_succeeded(payment))

    assert len(published(OrderConfirmed)) == 1
    assert not Refund.objects.exists()


def test_an_order_whose_payment_is_processing_waits(buyer: Buyer, shop: Shop, deliver: Any):
    buyer.place()
    deliver(payment_processing(shop.move_payment(buyer.order().payment_id, "processing")))
    _expire()

    assert services.cancel_expired_orders() == 0

    assert (buyer.order().status, buyer.order().payment_status) == ("awaiting_payment", "processing")


def test_the_clock_learns_from_payments_that_a_payment_is_processing(buyer: Buyer, shop: Shop):
    buyer.place()
    shop.move_payment(buyer.order().payment_id, "processing")
    _expire()

    assert services.cancel_expired_orders() == 1
    assert services.cancel_expired_orders() == 0

    assert (buyer.order().status, buyer.order().payment_status) == ("awaiting_payment", "processing")


def test_a_payment_that_fails_late_leaves_the_buyer_time_for_another_attempt(
    buyer: Buyer, shop: Shop, deliver: Any, settings: Any
):
    buyer.place()
    payment_id = buyer.order().payment_id
    deliver(payment_processing(shop.move_payment(payment_id, "processing")))
    _expire()

    deliver(payment_attempt_failed(shop.move_payment(payment_id, "requires_payment_method")))

    order = buyer.order()
    assert order.payment_status == "unpaid"
    assert order.expires_at is not None
    left = (order.expires_at - timezone.now()).total_seconds()
    assert left == pytest.approx(settings.ORDER_PAYMENT_RETRY_SECONDS, abs=30)
    assert order.close_at == order.expires_at
    assert services.cancel_expired_orders() == 0


def test_one_order_that_cannot_be_closed_does_not_hold_up_the_others(make_buyer: Any, shop: Shop):
    first, second = make_buyer(), make_buyer()
    first.place()
    second.place()
    _expire()

    def refuse_first(request: Any) -> None:
        import httpx

        if str(first.order().payment_id) in request.url.path:
            raise httpx.ConnectError("refused", request=request)

    shop.before["cancel"].append(refuse_first)
    assert services.cancel_expired_orders() == 2

    assert first.order().status == "awaiting_payment"
    assert first.order().close_at > timezone.now()
    assert second.order().status == "cancelled"


def test_a_payment_that_svc_payments_lost_does_not_keep_the_order_open(buyer: Buyer, shop: Shop):
    buyer.place()
    shop.payments.clear()
    _expire()

    services.cancel_expired_orders()

    assert buyer.order().status == "cancelled"
    assert buyer.payment_row().status == "canceled"
