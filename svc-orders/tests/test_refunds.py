from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from orders import services
from orders.models import Refund
from shared_lib.events import TooEarly
from shared_lib.ids import uuid7
from tests.conftest import Buyer
from tests.messages import payment_disputed, payment_refund_failed, payment_refunded, payment_succeeded
from tests.shop import Shop


@pytest.fixture
def refund(paid: Buyer) -> Refund:
    """The refund of an order that was cancelled after it was paid."""
    services.cancel_order(order_id=paid.order().id, who=paid.id)
    return Refund.objects.get()


def _make_due() -> None:
    Refund.objects.filter(due_at__isnull=False).update(due_at=timezone.now() - timedelta(seconds=1))


def test_a_refund_is_sent_with_the_id_that_was_stored_before(refund: Refund, shop: Shop):
    services.send_refund(refund.id)

    refund.refresh_from_db()
    assert refund.status == "accepted"
    assert list(shop.refunds) == [str(refund.id)]
    assert shop.refunds[str(refund.id)]["amount"] == {"amount": refund.amount, "currency": "USD"}


def test_a_refund_that_was_sent_is_asked_for_until_its_end_is_known(refund: Refund, shop: Shop):
    services.send_refund(refund.id)
    services.send_refund(refund.id)
    assert shop.calls.count("refund") == 1  # not before its time

    _make_due()
    shop.refunds[str(refund.id)]["status"] = "succeeded"
    assert services.send_due_refunds() == 1

    refund.refresh_from_db()
    assert (refund.status, refund.due_at) == ("accepted", None)
    assert len(shop.refunds) == 1


def test_a_refund_whose_answer_is_lost_is_sent_again_and_moves_the_money_once(refund: Refund, shop: Shop):
    shop.lose_answer("refund")
    services.send_refund(refund.id)
    refund.refresh_from_db()
    assert (refund.status, refund.attempts) == ("pending", 1)
    assert refund.error
    assert services.send_due_refunds() == 0  # not before its time

    _make_due()
    assert services.send_due_refunds() == 1

    refund.refresh_from_db()
    assert (refund.status, refund.error) == ("accepted", "")
    assert len(shop.refunds) == 1


def test_a_refund_that_payments_refuses_is_kept_for_people(refund: Refund, shop: Shop):
    shop.payments[str(refund.payment_id)]["status"] = "requires_payment_method"

    services.send_refund(refund.id)

    refund.refresh_from_db()
    assert (refund.status, refund.due_at) == ("failed", None)
    assert "refund_exceeds_payment" in refund.error


def test_a_refund_that_the_provider_could_not_make_is_kept_for_people(refund: Refund, shop: Shop):
    services.send_refund(refund.id)
    shop.refunds[str(refund.id)]["status"] = "failed"
    _make_due()

    services.send_due_refunds()

    refund.refresh_from_db()
    assert (refund.status, refund.due_at) == ("failed", None)


def test_the_event_may_come_before_the_answer(refund: Refund, paid: Buyer, shop: Shop, deliver: Any):
    def event_first(request: Any) -> None:
        payment = shop.move_payment(refund.payment_id, "succeeded")
        deliver(payment_refunded(payment, refund_id=refund.id, amount=refund.amount, total=refund.amount))

    shop.after["refund"].append(event_first)
    services.send_refund(refund.id)

    refund.refresh_from_db()
    assert refund.status == "succeeded"
    assert paid.order().payment_status == "refunded"


def test_a_refund_that_failed_late_is_seen_in_the_history_and_kept_for_people(
    refund: Refund, paid: Buyer, shop: Shop, deliver: Any
):
    services.send_refund(refund.id)
    before = paid.order().version
    payment = shop.move_payment(refund.payment_id, "succeeded")
    message = payment_refund_failed(payment, refund_id=refund.id, amount=refund.amount)

    [event_id] = deliver(message)
    deliver(message, again=event_id)
    deliver(message)

    refund.refresh_from_db()
    assert (refund.status, refund.due_at) == ("failed", None)
    assert "expired_or_canceled_card" in refund.error
    assert [reason for _, reason, _ in paid.history()].count("refund_failed") == 1
    order = paid.order()
    assert (order.status, order.payment_status, order.version) == ("cancelled", "paid", before + 1)


def test_a_failure_that_is_told_after_the_money_moved_changes_nothing(
    refund: Refund, paid: Buyer, shop: Shop, deliver: Any
):
    payment = dict(shop.move_payment(refund.payment_id, "succeeded"))
    later = shop.move_payment(refund.payment_id, "succeeded")
    deliver(payment_refunded(later, refund_id=refund.id, amount=refund.amount, total=refund.amount))

    deliver(payment_refund_failed(payment, refund_id=refund.id, amount=refund.amount))

    refund.refresh_from_db()
    assert refund.status == "succeeded"
    assert paid.order().payment_status == "refunded"


def test_a_refund_made_elsewhere_that_failed_is_noted_too(paid: Buyer, shop: Shop, deliver: Any):
    order = paid.order()
    payment = shop.move_payment(order.payment_id, "succeeded")

    deliver(payment_refund_failed(payment, refund_id=uuid7(), amount=100))

    refund = Refund.objects.get()
    assert (refund.order_id, refund.amount, refund.status) == (order.id, 100, "failed")


@pytest.mark.parametrize("kind", [payment_refund_failed, payment_disputed])
def test_what_became_of_money_waits_for_the_money(buyer: Buyer, shop: Shop, deliver: Any, kind: Any):
    buyer.place()
    success = dict(shop.move_payment(buyer.order().payment_id, "succeeded"))
    more = {"refund_id": uuid7(), "amount": 1} if kind is payment_refund_failed else {}
    early = kind(shop.move_payment(buyer.order().payment_id, "succeeded"), **more)
    with pytest.raises(TooEarly):
        deliver(early)

    deliver(payment_succeeded(success), early)

    assert (buyer.order().status, buyer.payment_row().version) == ("confirmed", 3)
