from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from orders import services
from orders.exceptions import OrderNotPayable
from orders.models import CheckoutSaga, Order, OrderPayment, Refund
from shared_lib.contracts.events import OrderConfirmed, OrderPlaced, OrderRefunded
from shared_lib.events import TooEarly
from shared_lib.exceptions import InvalidValue, NotFound, ServiceUnavailable
from shared_lib.ids import uuid7
from tests.conftest import Buyer
from tests.crashes import die_at
from tests.messages import (
    payment_action_required,
    payment_attempt_failed,
    payment_canceled,
    payment_disputed,
    payment_processing,
    payment_refunded,
    payment_succeeded,
)
from tests.shop import Shop


def _start(buyer: Buyer, provider: str | None = None, payment_id: Any = None) -> Any:
    return services.start_payment(
        order_id=buyer.order().id, user_id=buyer.id, payment_id=payment_id or uuid7(), provider=provider
    )


def test_a_payment_that_succeeds_confirms_the_order(buyer: Buyer, shop: Shop, published: Any, deliver: Any):
    buyer.place()

    deliver(payment_succeeded(shop.move_payment(buyer.order().payment_id, "succeeded")))

    order = buyer.order()
    assert (order.status, order.payment_status) == ("confirmed", "paid")
    assert buyer.payment_row().status == "succeeded"
    assert order.close_at is None
    (event,) = published(OrderConfirmed)
    assert (event.order_id, event.payment_id, event.version) == (order.id, order.payment_id, order.version)
    assert [(line.variant_id, line.quantity) for line in event.lines] == [(buyer.variant, 2)]
    assert [row.status for row in order.history.order_by("id")] == ["awaiting_payment", "confirmed"]


def test_the_same_success_twice_confirms_once(buyer: Buyer, shop: Shop, published: Any, deliver: Any):
    buyer.place()
    payment = shop.move_payment(buyer.order().payment_id, "succeeded")

    deliver(payment_succeeded(payment))
    deliver(payment_succeeded(payment))

    assert len(published(OrderConfirmed)) == 1
    assert buyer.order().history.count() == 2
    assert not Refund.objects.exists()


def test_a_success_that_is_told_again_with_a_newer_version_moves_nothing(
    paid: Buyer, shop: Shop, deliver: Any
):
    deliver(payment_succeeded(shop.move_payment(paid.order().payment_id, "succeeded")))

    assert (paid.order().status, paid.order().payment_status) == ("confirmed", "paid")
    assert not Refund.objects.exists()


def test_what_is_older_than_what_is_known_changes_nothing(buyer: Buyer, shop: Shop, deliver: Any):
    buyer.place()
    payment_id = buyer.order().payment_id
    processing = payment_processing(shop.move_payment(payment_id, "processing"))
    failed = payment_attempt_failed(shop.move_payment(payment_id, "requires_payment_method"))
    deliver(payment_succeeded(shop.move_payment(payment_id, "succeeded")))
    version = buyer.order().version

    deliver(failed, processing)

    order = buyer.order()
    assert (order.status, order.payment_status, order.version) == ("confirmed", "paid", version)
    assert buyer.payment_row().status == "succeeded"


def test_a_declined_card_leaves_the_order_payable(buyer: Buyer, shop: Shop, deliver: Any):
    buyer.place()
    version = buyer.order().version

    deliver(payment_attempt_failed(shop.move_payment(buyer.order().payment_id, "requires_payment_method")))

    order = buyer.order()
    assert (order.status, order.payment_status) == ("awaiting_payment", "unpaid")
    assert buyer.payment_row().failure_code == "card_declined"
    assert order.version == version + 1


def test_a_payment_that_is_processing_is_shown_and_then_counts(buyer: Buyer, shop: Shop, deliver: Any):
    buyer.place()
    payment_id = buyer.order().payment_id

    deliver(payment_processing(shop.move_payment(payment_id, "processing")))
    assert buyer.order().payment_status == "processing"

    deliver(payment_succeeded(shop.move_payment(payment_id, "succeeded")))
    assert (buyer.order().status, buyer.order().payment_status) == ("confirmed", "paid")


def test_money_for_a_cancelled_order_goes_back_by_itself(
    buyer: Buyer, shop: Shop, published: Any, deliver: Any
):
    buyer.place()
    services.cancel_order(order_id=buyer.order().id, who=buyer.id)

    deliver(payment_succeeded(shop.move_payment(buyer.order().payment_id, "succeeded")))

    order = buyer.order()
    assert (order.status, order.payment_status) == ("cancelled", "paid")
    assert published(OrderConfirmed) == []
    refund = Refund.objects.get()
    assert (refund.amount, refund.reason) == (order.total_amount, "order_cancelled")


def test_money_of_an_earlier_payment_goes_back_and_the_order_stands(buyer: Buyer, shop: Shop, deliver: Any):
    buyer.place()
    first = buyer.order().payment_id
    second = _start(buyer).id
    deliver(payment_succeeded(shop.move_payment(second, "succeeded")))

    deliver(payment_succeeded(shop.move_payment(first, "succeeded")))

    assert (buyer.order().status, buyer.order().payment_status) == ("confirmed", "paid")
    refund = Refund.objects.get()
    assert (refund.payment_id, refund.reason) == (first, "not_wanted")


def test_an_amount_that_is_not_the_orders_own_is_a_failure_not_a_payment(
    buyer: Buyer, shop: Shop, deliver: Any
):
    buyer.place()
    payment = shop.move_payment(buyer.order().payment_id, "succeeded")

    with pytest.raises(AssertionError, match="ForeignAmount"):
        deliver(payment_succeeded(payment, amount={"amount": 1, "currency": "USD"}))

    assert buyer.order().status == "awaiting_payment"


def test_money_of_a_payment_that_was_never_ours_is_kept_as_a_failure(buyer: Buyer, shop: Shop, deliver: Any):
    buyer.place()
    payment = {**buyer.payment(), "id": str(uuid7())}

    deliver(payment_canceled(payment))
    with pytest.raises(AssertionError, match="not known here"):
        deliver(payment_succeeded(payment))


def test_an_event_that_overtakes_its_checkout_waits_for_it(buyer: Buyer, shop: Shop, deliver: Any):
    payments: list[dict[str, Any]] = []

    def pay_at_once(request: Any) -> None:
        (payment_id,) = shop.payments
        payments.append(dict(shop.move_payment(payment_id, "succeeded")))
        with pytest.raises(TooEarly):
            deliver(payment_succeeded(payments[0]))

    shop.after["pay"].append(pay_at_once)
    buyer.place()
    assert buyer.order().status == "awaiting_payment"

    deliver(payment_succeeded(payments[0]))
    assert buyer.order().status == "confirmed"


def test_a_payment_that_has_succeeded_before_its_checkout_ends_confirms_the_order(
    buyer: Buyer, shop: Shop, published: Any, deliver: Any
):
    die_at("checkout.create_payment.after", buyer.place)
    (payment_id,) = shop.payments
    payment = shop.move_payment(payment_id, "succeeded")
    CheckoutSaga.objects.update(leased_until=timezone.now())

    answer = buyer.place()
    deliver(payment_succeeded(payment))

    assert answer["status"] == "confirmed"
    assert (buyer.order().status, buyer.order().payment_status) == ("confirmed", "paid")
    assert [event.version for event in published(OrderPlaced) + published(OrderConfirmed)] == [1, 2]


def test_a_refund_of_the_whole_amount_is_told_once(paid: Buyer, shop: Shop, published: Any, deliver: Any):
    order = services.cancel_order(order_id=paid.order().id, who=paid.id)
    refund = Refund.objects.get()
    message = payment_refunded(
        shop.move_payment(order.payment_id, "succeeded"),
        refund_id=refund.id,
        amount=order.total_amount,
        total=order.total_amount,
    )

    deliver(message)
    deliver(message)

    assert paid.order().payment_status == "refunded"
    assert paid.order().status == "cancelled"
    refund.refresh_from_db()
    assert (refund.status, refund.due_at) == ("succeeded", None)
    (event,) = published(OrderRefunded)
    assert (event.refund_id, event.amount.amount) == (refund.id, order.total_amount)


def test_partial_refunds_in_the_wrong_order_add_up(paid: Buyer, shop: Shop, published: Any, deliver: Any):
    payment_id = paid.order().payment_id
    first = payment_refunded(
        shop.move_payment(payment_id, "succeeded"), refund_id=uuid7(), amount=100, total=100
    )
    second = payment_refunded(
        shop.move_payment(payment_id, "succeeded"), refund_id=uuid7(), amount=50, total=150
    )

    deliver(second)
    deliver(first)

    assert paid.payment_row().refunded_amount == 150
    assert paid.order().payment_status == "partially_refunded"
    assert paid.order().status == "confirmed"
    assert sorted(event.amount.amount for event in published(OrderRefunded)) == [50, 100]
    assert Refund.objects.filter(status="succeeded", reason="made_elsewhere").count() == 2


def test_a_refund_before_its_payment_waits(buyer: Buyer, shop: Shop, deliver: Any):
    buyer.place()
    payment = shop.move_payment(buyer.order().payment_id, "succeeded")

    with pytest.raises(TooEarly):
        deliver(payment_refunded(payment, refund_id=uuid7(), amount=1, total=1))


def test_a_dispute_is_noted_and_moves_nothing(paid: Buyer, shop: Shop, deliver: Any):
    payment = shop.move_payment(paid.order().payment_id, "succeeded")
    deliver(payment_disputed(payment))

    order = paid.order()
    assert (order.status, order.payment_status) == ("confirmed", "paid")
    assert paid.payment_row().dispute_reason == "fraudulent"


def test_a_new_payment_takes_the_place_of_one_that_was_canceled(buyer: Buyer, shop: Shop, deliver: Any):
    buyer.place()
    first = buyer.order().payment_id
    deliver(payment_canceled(shop.move_payment(first, "canceled")))

    answer = _start(buyer, "sandbox")

    assert answer.status == "requires_payment_method"
    assert answer.amount.amount == buyer.order().total_amount
    assert buyer.order().payment_id == answer.id != first
    assert "cancel" not in shop.calls


def test_a_payment_that_could_still_be_paid_is_cancelled_before_the_new_one(buyer: Buyer, shop: Shop):
    buyer.place()
    first = buyer.order().payment_id

    second = _start(buyer).id

    assert shop.payments[str(first)]["status"] == "canceled"
    assert shop.payments[str(second)]["status"] == "requires_payment_method"
    statuses = (
        OrderPayment.objects.filter(order=buyer.order()).order_by("id").values_list("status", flat=True)
    )
    assert list(statuses) == ["canceled", "requires_payment_method"]


@pytest.mark.parametrize("status", ["processing", "succeeded"])
def test_no_new_payment_beside_one_that_can_no_longer_be_cancelled(buyer: Buyer, shop: Shop, status: str):
    buyer.place()
    shop.move_payment(buyer.order().payment_id, status)

    with pytest.raises(OrderNotPayable):
        _start(buyer)

    assert len(shop.payments) == 1
    assert buyer.order().status == ("confirmed" if status == "succeeded" else "awaiting_payment")


def test_a_paid_or_cancelled_or_expired_order_takes_no_new_payment(make_buyer: Any, paid: Buyer, shop: Shop):
    cancelled, expired = make_buyer(), make_buyer()
    cancelled.place()
    services.cancel_order(order_id=cancelled.order().id, who=cancelled.id)
    expired.place()
    Order.objects.filter(user_id=expired.id).update(expires_at=timezone.now())

    for each in (paid, cancelled, expired):
        with pytest.raises(OrderNotPayable):
            _start(each)


def test_nobody_pays_for_the_order_of_somebody_else(buyer: Buyer):
    buyer.place()

    with pytest.raises(NotFound):
        services.start_payment(order_id=buyer.order().id, user_id=uuid7(), payment_id=uuid7(), provider=None)


def test_a_new_payment_whose_answer_was_lost_goes_on_with_the_same_one(buyer: Buyer, shop: Shop):
    buyer.place()
    payment_id = uuid7()
    shop.lose_answer("pay")
    with pytest.raises(ServiceUnavailable):
        _start(buyer, payment_id=payment_id)
    assert buyer.payment_row().status == "creating"

    answer = _start(buyer, payment_id=payment_id)

    assert answer.id == buyer.order().payment_id == payment_id
    assert buyer.payment_row().status == "requires_payment_method"
    assert len(shop.payments) == 2


def test_a_provider_that_is_refused_leaves_the_order_payable_by_another(buyer: Buyer, shop: Shop):
    buyer.place()
    shop.refuse_payments = "provider"
    with pytest.raises(InvalidValue):
        _start(buyer, "nonesuch")
    assert buyer.payment_row().status == "canceled"
    shop.refuse_payments = ""

    assert _start(buyer).status == "requires_payment_method"


def test_a_payment_that_is_made_while_the_order_is_cancelled_cannot_be_paid(buyer: Buyer, shop: Shop):
    buyer.place()

    def cancel(request: Any) -> None:
        shop.before["pay"].clear()
        services.cancel_order(order_id=buyer.order().id, who=buyer.id)

    shop.before["pay"].append(cancel)
    with pytest.raises(OrderNotPayable):
        _start(buyer)

    assert buyer.order().status == "cancelled"
    assert {payment["status"] for payment in shop.payments.values()} == {"canceled"}


def test_a_payment_that_waits_for_the_buyer_shows_it_at_the_order(
    buyer: Buyer, shop: Shop, api: Any, deliver: Any
):
    order_id = buyer.place()["id"]
    first = dict(shop.move_payment(buyer.order().payment_id, "requires_action"))
    message = payment_action_required(first)

    [event_id] = deliver(message)
    deliver(message, again=event_id)

    shown = api.as_user(buyer.id).get(f"/api/v1/orders/{order_id}").json()
    assert (shown["status"], shown["payment_status"]) == ("awaiting_payment", "unpaid")
    assert shown["payment"] == {"id": first["id"], "status": "requires_action", "action": None}
    version = buyer.order().version

    deliver(payment_succeeded(shop.move_payment(first["id"], "succeeded")))
    deliver(message)

    assert buyer.order().version == version + 1
    assert (buyer.payment_row().status, buyer.order().status) == ("succeeded", "confirmed")


def test_an_action_that_is_needed_after_all_starts_the_clock_again(buyer: Buyer, shop: Shop, deliver: Any):
    buyer.place()
    deliver(payment_processing(shop.move_payment(buyer.order().payment_id, "processing")))
    assert buyer.order().payment_status == "processing"

    deliver(payment_action_required(shop.move_payment(buyer.order().payment_id, "requires_action")))

    assert (buyer.order().payment_status, buyer.payment_row().status) == ("unpaid", "requires_action")
