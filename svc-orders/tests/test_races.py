"""Several requests, events and sweepers at once, in threads with connections of their own."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from orders import services
from orders.exceptions import CheckoutInProgress, OrderNotCancellable, OutOfStock
from orders.models import CheckoutSaga, Order, OrderPayment, Refund
from orders.services import closing, undoing
from orders.services.locks import lock_order
from orders.services.transitions import cancel
from shared_lib.api.idempotency import IdempotencyInProgress
from shared_lib.contracts.events import OrderCancelled, OrderConfirmed, OrderPlaced
from shared_lib.exceptions import DomainError
from shared_lib.ids import uuid7
from shared_lib.testing.races import at_once
from tests.conftest import Buyer
from tests.crashes import die_at
from tests.messages import payment_succeeded
from tests.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 6


def _kinds(results: list[Any]) -> Counter[str]:
    return Counter(type(result).__name__ for result in results)


def _a_moment(request: Any) -> None:
    time.sleep(0.05)


def test_five_requests_with_one_key_at_once_make_one_order(buyer: Buyer, shop: Shop, published: Any):
    shop.before["reserve"].append(_a_moment)

    results = at_once(*[buyer.place] * 5)

    answers = [result for result in results if isinstance(result, dict)]
    assert answers
    assert all(answer == answers[0] for answer in answers)
    assert all(isinstance(result, dict | IdempotencyInProgress) for result in results)
    assert Order.objects.count() == CheckoutSaga.objects.count() == len(published(OrderPlaced)) == 1
    assert len(shop.reservations) == len(shop.payments) == 1
    assert buyer.place() == answers[0]


def test_five_retries_of_a_dead_checkout_at_once_resume_it_once(buyer: Buyer, shop: Shop, published: Any):
    die_at("checkout.reserve.after", buyer.place)
    CheckoutSaga.objects.update(leased_until=timezone.now())
    shop.before["pay"].append(_a_moment)

    results = at_once(*[buyer.place] * 5)

    assert {type(result) for result in results} <= {dict, IdempotencyInProgress}
    assert Order.objects.count() == len(published(OrderPlaced)) == 1
    assert len(shop.reservations) == len(shop.payments) == 1


def test_a_retry_and_the_sweeper_at_once_end_in_one_order_or_in_none(
    make_buyer: Any, shop: Shop, published: Any
):
    for _ in range(ROUNDS):
        buyer = make_buyer()
        die_at("checkout.create_payment.after", buyer.place)
        past = timezone.now() - timedelta(seconds=1)
        CheckoutSaga.objects.filter(user_id=buyer.id).update(leased_until=past, deadline=past)

        at_once(buyer.place, services.settle_checkouts)
        _settle()

        assert Order.objects.placed().filter(user_id=buyer.id).count() <= 1
        _assert_stock_is_right(buyer)


def test_different_keys_of_one_buyer_at_once_leave_one_unpaid_order(make_buyer: Any, shop: Shop):
    shop.before["reserve"].append(_a_moment)
    for _ in range(ROUNDS):
        buyer = make_buyer()

        results = at_once(*(partial(buyer.place, key) for key in ("a", "b", "c")))

        assert {type(result) for result in results} <= {dict, CheckoutInProgress}
        assert Order.objects.filter(user_id=buyer.id, status="awaiting_payment").count() == 1
        _assert_stock_is_right(buyer)


def test_twelve_buyers_and_five_units(make_buyer: Any, shop: Shop):
    variant = shop.sell(stock=5)
    buyers = [make_buyer(variant, 1) for _ in range(12)]

    results = at_once(*(buyer.place for buyer in buyers))

    assert _kinds(results) == {"dict": 5, OutOfStock.__name__: 7}
    assert shop.stock[str(variant)] == 0


def test_two_cancellings_at_once_cancel_once(make_buyer: Any, published: Any):
    for _ in range(ROUNDS):
        buyer = make_buyer()
        buyer.place()
        order = buyer.order()

        at_once(*[partial(services.cancel_order, order_id=order.id, who=buyer.id)] * 2)

        assert buyer.order().status == "cancelled"
        assert [event.order_id for event in published(OrderCancelled)].count(order.id) == 1


def test_two_cancellings_of_a_paid_order_pay_back_once(make_buyer: Any, shop: Shop, deliver: Any):
    for _ in range(ROUNDS):
        buyer = make_buyer()
        buyer.place()
        order = buyer.order()
        deliver(payment_succeeded(shop.move_payment(order.payment_id, "succeeded")))

        results = at_once(*[partial(services.cancel_order, order_id=order.id, who=buyer.id)] * 2)

        assert _kinds(results) == {"Order": 1, OrderNotCancellable.__name__: 1}
        assert Refund.objects.get(order=order).amount == order.total_amount


def _pay(shop: Shop, deliver: Any, payment_id: Any) -> None:
    """The buyer pays, unless the payment was canceled before; svc-payments tells of it."""
    with shop.lock:
        if shop.payments[str(payment_id)]["status"] == "canceled":
            return
        payment = dict(shop.move_payment(payment_id, "succeeded"))
    deliver(payment_succeeded(payment))


def test_cancelling_against_paying_ends_cancelled_with_the_money_back(
    make_buyer: Any, shop: Shop, deliver: Any, published: Any
):
    for round_ in range(ROUNDS):
        buyer = make_buyer()
        buyer.place()
        order = buyer.order()
        payment_id = order.payment_id
        shop.before["cancel"][:] = [_a_moment] if round_ % 2 else []

        cancelled, _ = at_once(
            partial(services.cancel_order, order_id=order.id, who=buyer.id),
            partial(_pay, shop, deliver, payment_id),
        )

        assert not isinstance(cancelled, DomainError), cancelled
        assert buyer.order().status == "cancelled"
        paid = shop.payments[str(payment_id)]["status"] == "succeeded"
        assert sum(refund.amount for refund in Refund.objects.filter(order=order)) == (
            order.total_amount if paid else 0
        )
        confirmations = [event for event in published(OrderConfirmed) if event.order_id == order.id]
        (event,) = (event for event in published(OrderCancelled) if event.order_id == order.id)
        assert event.was_confirmed == paid == bool(confirmations)


def test_expiry_against_paying_ends_confirmed_exactly_when_the_money_came(
    make_buyer: Any, shop: Shop, deliver: Any, published: Any
):
    for round_ in range(ROUNDS):
        buyer = make_buyer()
        buyer.place()
        order = buyer.order()
        payment_id = order.payment_id
        past = timezone.now() - timedelta(seconds=1)
        Order.objects.filter(pk=order.pk).update(close_at=past, expires_at=past)
        shop.before["cancel"][:] = [_a_moment] if round_ % 2 else []

        at_once(
            services.cancel_expired_orders,
            services.cancel_expired_orders,
            partial(_pay, shop, deliver, payment_id),
        )

        paid = shop.payments[str(payment_id)]["status"] == "succeeded"
        assert buyer.order().status == ("confirmed" if paid else "cancelled")
        assert not Refund.objects.filter(order=order).exists()
        ends = [
            event
            for event in published(OrderConfirmed) + published(OrderCancelled)
            if event.order_id == order.id
        ]
        assert len(ends) == 1


def test_two_new_payments_at_once_leave_one_that_can_be_paid(make_buyer: Any, shop: Shop):
    for _ in range(ROUNDS):
        buyer = make_buyer()
        buyer.place()
        order = buyer.order()

        def start(order: Order = order, buyer: Buyer = buyer) -> Any:
            return services.start_payment(
                order_id=order.id, user_id=buyer.id, payment_id=uuid7(), provider=None
            )

        at_once(start, start)

        mine = [payment for payment in shop.payments.values() if payment["order_id"] == str(order.id)]
        payable = [payment["id"] for payment in mine if payment["status"] == "requires_payment_method"]
        assert len(payable) <= 1
        current = OrderPayment.objects.get(pk=buyer.order().payment_id)
        assert payable == ([str(current.id)] if current.status == "requires_payment_method" else [])


def test_two_senders_of_one_refund_call_once(paid: Buyer, shop: Shop):
    services.cancel_order(order_id=paid.order().id, who=paid.id)
    refund = Refund.objects.get()
    shop.before["refund"].append(_a_moment)

    at_once(lambda: services.send_refund(refund.id), services.send_due_refunds)

    assert shop.calls.count("refund") == 1


def test_two_sweepers_of_one_checkout_undo_it_once(buyer: Buyer, shop: Shop):
    def crash(request: Any) -> None:
        raise KeyboardInterrupt

    shop.after["pay"].append(crash)
    with pytest.raises(KeyboardInterrupt):
        buyer.place()
    past = timezone.now() - timedelta(seconds=1)
    CheckoutSaga.objects.update(leased_until=past, deadline=past)
    shop.calls.clear()

    at_once(services.settle_checkouts, services.settle_checkouts)

    assert shop.calls == ["cancel", "release"]


def test_an_event_waits_for_the_change_that_is_under_way(
    buyer: Buyer, shop: Shop, deliver: Any, published: Any
):
    buyer.place()
    payment = shop.move_payment(buyer.order().payment_id, "succeeded")

    with transaction.atomic():
        order = lock_order(buyer.order().id)
        event = _start(deliver, payment_succeeded(payment))
        event.join(timeout=0.3)
        assert event.is_alive()
        cancel(order, reason="staff", who=None)
    event.join(timeout=10)

    assert (buyer.order().status, buyer.order().payment_status) == ("cancelled", "paid")
    assert published(OrderConfirmed) == []
    assert Refund.objects.get().amount == order.total_amount


def _start(function: Callable[..., Any], *args: Any) -> threading.Thread:
    def run() -> None:
        try:
            function(*args)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def _due_order(buyer: Buyer, shop: Shop) -> None:
    buyer.place()
    Order.objects.update(close_at=timezone.now())


def _due_checkout(buyer: Buyer, shop: Shop) -> None:
    shop.take_away("cancel")
    shop.take_away("pay")
    with pytest.raises(DomainError):
        buyer.place()
    CheckoutSaga.objects.update(deadline=timezone.now())


@pytest.mark.parametrize(
    ("arrange", "claim", "sweep"),
    [
        pytest.param(_due_order, closing._claim_due, services.cancel_expired_orders, id="order"),
        pytest.param(_due_checkout, undoing._claim_due, services.settle_checkouts, id="checkout"),
    ],
)
def test_what_one_sweeper_is_claiming_another_leaves_alone(
    buyer: Buyer, shop: Shop, arrange: Any, claim: Callable[[], list[Any]], sweep: Callable[[], int]
):
    arrange(buyer, shop)
    counts: list[int] = []

    with transaction.atomic():
        assert len(claim()) == 1
        other = _start(lambda: counts.append(sweep()))
        other.join(timeout=3)
    other.join(timeout=10)

    assert counts == [0]


def _settle() -> None:
    """Whatever was left to the sweeper is done."""
    past = timezone.now() - timedelta(seconds=1)
    CheckoutSaga.objects.filter(step="undoing").update(deadline=past)
    services.settle_checkouts()


def _assert_stock_is_right(buyer: Buyer) -> None:
    """Just the order that waits for its money holds stock and a payment that could be paid."""
    orders = Order.objects.filter(user_id=buyer.id, status="awaiting_payment")
    assert buyer.shop.stock[str(buyer.variant)] == 10 - 2 * len(orders)
    payable = {
        payment["id"]
        for payment in buyer.shop.payments.values()
        if payment["user_id"] == str(buyer.id) and payment["status"] != "canceled"
    }
    assert payable == {str(order.payment_id) for order in orders}


def test_two_refunds_of_everything_at_once_pay_back_once(paid: Buyer):
    order = paid.order()

    def refund() -> Refund:
        return services.refund_order(order_id=order.id, who=uuid7())

    results = at_once(refund, refund, refund)

    assert _kinds(results) == {"Refund": 1, "OrderNotRefundable": 2}
    assert [row.amount for row in Refund.objects.all()] == [order.total_amount]


def test_a_parcel_that_two_people_send_at_once_leaves_once(paid: Buyer):
    order_id = paid.order().id

    def ship() -> Order:
        return services.ship_order(order_id=order_id, who=uuid7(), carrier="DHL", tracking_number="1")

    assert _kinds(at_once(ship, ship)) == {"Order": 1, "OrderNotShippable": 1}


def test_cancelling_against_shipping_ends_in_one_of_both(make_buyer: Any, shop: Shop, deliver: Any):
    for _ in range(ROUNDS):
        buyer = make_buyer()
        buyer.place()
        deliver(payment_succeeded(shop.move_payment(buyer.order().payment_id, "succeeded")))
        order_id = buyer.order().id

        at_once(
            partial(services.cancel_order, order_id=order_id, who=buyer.id),
            partial(services.ship_order, order_id=order_id, who=uuid7(), carrier="DHL", tracking_number="1"),
        )

        refunds = Refund.objects.filter(order_id=order_id).count()
        assert (buyer.order().status, refunds) in {("cancelled", 1), ("shipped", 0)}


def test_a_return_that_is_received_twice_at_once_pays_back_once(paid: Buyer):
    order_id = paid.order().id
    services.ship_order(order_id=order_id, who=uuid7(), carrier="DHL", tracking_number="1")
    found = services.request_return(
        order_id=order_id, user_id=paid.id, lines={paid.variant: 1}, reason="too small"
    )
    services.approve_return(return_id=found.id, who=uuid7())

    def receive() -> Any:
        return services.receive_return(return_id=found.id, who=uuid7(), restock=True)

    assert _kinds(at_once(receive, receive)) == {"Return": 1, "ReturnNotReceivable": 1}
    assert Refund.objects.count() == 1
