from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from orders import services
from orders.models import CheckoutSaga, Order, Refund
from shared_lib.exceptions import ServiceUnavailable
from tests.conftest import Buyer
from tests.messages import payment_canceled, payment_succeeded
from tests.shop import Shop


def _let_deadline_pass() -> None:
    CheckoutSaga.objects.update(deadline=timezone.now() - timedelta(seconds=1))


def _fail_after_the_reservation(buyer: Buyer, shop: Shop) -> None:
    come_back = shop.take_away("pay")
    with pytest.raises(ServiceUnavailable):
        buyer.place()
    come_back()


def test_what_cannot_be_undone_at_once_is_undone_by_the_sweeper(buyer: Buyer, shop: Shop):
    come_back = shop.take_away("release")
    _fail_after_the_reservation(buyer, shop)
    saga = buyer.saga()
    assert (saga.step, saga.undo_payment, saga.undo_reservation) == ("undoing", False, True)
    assert shop.stock[str(buyer.variant)] == 8

    _let_deadline_pass()
    services.settle_checkouts()
    assert buyer.saga().step == "undoing"
    assert buyer.saga().deadline > timezone.now()

    come_back()
    _let_deadline_pass()
    services.settle_checkouts()
    assert buyer.saga().step == "undone"
    assert shop.stock[str(buyer.variant)] == 10


def test_the_key_is_free_while_the_undoing_is_still_under_way(buyer: Buyer, shop: Shop):
    come_back = shop.take_away("release")
    _fail_after_the_reservation(buyer, shop)
    come_back()

    answer = buyer.place()

    assert answer["status"] == "awaiting_payment"
    assert CheckoutSaga.objects.count() == 2


def test_the_last_unit_is_not_sold_out_for_the_buyer_whose_failed_checkout_still_holds_it(
    buyer: Buyer, shop: Shop
):
    shop.stock[str(buyer.variant)] = 2
    come_back = shop.take_away("release")
    _fail_after_the_reservation(buyer, shop)

    with pytest.raises(ServiceUnavailable):
        buyer.place()

    come_back()
    _let_deadline_pass()
    services.settle_checkouts()
    assert buyer.place()["status"] == "awaiting_payment"


def test_stock_is_not_given_back_while_its_payment_might_still_succeed(buyer: Buyer, shop: Shop):
    shop.take_away("cancel")
    _fail_after_the_reservation(buyer, shop)

    assert "release" not in shop.calls
    assert shop.stock[str(buyer.variant)] == 8


def test_a_payment_in_processing_holds_the_undoing_up(buyer: Buyer, shop: Shop):
    shop.lose_answer("pay")
    shop.before["cancel"].append(lambda request: _all_payments(shop, "processing"))
    with pytest.raises(ServiceUnavailable):
        buyer.place()
    assert (buyer.saga().step, buyer.saga().undo_payment) == ("undoing", True)

    shop.before.clear()
    _all_payments(shop, "canceled")
    _let_deadline_pass()
    services.settle_checkouts()

    assert buyer.saga().step == "undone"
    assert shop.stock[str(buyer.variant)] == 10


def _all_payments(shop: Shop, status: str) -> None:
    for payment_id in shop.payments:
        shop.move_payment(payment_id, status)


@pytest.mark.django_db(transaction=True)
def test_money_that_came_for_a_checkout_that_failed_goes_back(buyer: Buyer, shop: Shop, hints: list[Any]):
    shop.lose_answer("pay")
    shop.before["cancel"].append(lambda request: _all_payments(shop, "succeeded"))
    with pytest.raises(ServiceUnavailable):
        buyer.place()

    refund = Refund.objects.get()
    assert (refund.amount, refund.status) == (4397, "pending")
    assert hints == [("orders.tasks.send_refund", (str(refund.id),))]
    assert buyer.saga().step == "undone"
    assert not Order.objects.placed().exists()


def test_the_event_of_such_money_makes_no_second_refund(buyer: Buyer, shop: Shop, deliver: Any):
    shop.lose_answer("pay")
    shop.before["cancel"].append(lambda request: _all_payments(shop, "succeeded"))
    with pytest.raises(ServiceUnavailable):
        buyer.place()

    (payment,) = shop.payments.values()
    deliver(payment_succeeded(payment))

    assert Refund.objects.count() == 1


def test_the_event_of_such_money_alone_makes_the_refund(buyer: Buyer, shop: Shop, deliver: Any):
    _fail_after_the_reservation(buyer, shop)
    saga = buyer.saga()
    payment = {
        "id": str(saga.payment_id),
        "order_id": str(saga.order_id),
        "user_id": str(buyer.id),
        "amount": {"amount": 4397, "currency": "USD"},
        "version": 3,
    }

    deliver(payment_canceled(payment), payment_succeeded({**payment, "version": 4}))

    assert Refund.objects.get().amount == 4397


def test_ended_checkouts_are_forgotten_after_a_day_and_undone_drafts_with_them(make_buyer: Any, shop: Shop):
    placed, failed = make_buyer(), make_buyer()
    placed.place()
    _fail_after_the_reservation(failed, shop)
    services.forget_checkouts()
    assert CheckoutSaga.objects.count() == 2

    _let_deadline_pass()
    services.settle_checkouts()
    assert CheckoutSaga.objects.count() == 2
    assert services.forget_checkouts() == 2

    assert not CheckoutSaga.objects.exists()
    assert [order.user_id for order in Order.objects.all()] == [placed.id]


def test_a_draft_whose_money_goes_back_is_kept(buyer: Buyer, shop: Shop):
    shop.lose_answer("pay")
    shop.before["cancel"].append(lambda request: _all_payments(shop, "succeeded"))
    with pytest.raises(ServiceUnavailable):
        buyer.place()

    _let_deadline_pass()
    services.forget_checkouts()

    assert not CheckoutSaga.objects.exists()
    assert Refund.objects.get().order.status == "draft"
