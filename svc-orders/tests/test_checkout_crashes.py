"""The process dies at every failpoint of a checkout; then the buyer comes back with the key, or nobody does."""

from __future__ import annotations

from typing import Any

import pytest

from orders import services
from orders.exceptions import CheckoutInProgress, OutOfStock
from orders.models import CheckoutSaga, CheckoutStep, Order
from shared_lib.api.idempotency import IdempotencyInProgress, IdempotencyKeyReused
from shared_lib.contracts.events import OrderPlaced
from shared_lib.exceptions import ServiceUnavailable
from shared_lib.failpoints import NAMES
from shared_lib.testing.failpoints import armed
from tests.conftest import Buyer
from tests.crashes import die_at, let_lease_run_out, let_time_pass
from tests.invariants import assert_nothing_is_lost
from tests.shop import Shop

POINTS = [name for name in NAMES["svc-orders"] if name.startswith(("checkout.", "offer."))]

COUPONS: list[dict[str, Any]] = [
    {"code": "TEN", "kind": "percent", "basis_points": 1000},
    {"code": "SHIP", "kind": "free_shipping"},
]


@pytest.fixture
def old_buyer(buyer: Buyer, shop: Shop) -> Buyer:
    """A buyer with an unpaid order of an earlier state of the cart, and with coupons: a checkout has all the work there is."""
    buyer.destination = shop.add_address(buyer.id)
    shop.fill_cart(buyer.id, (buyer.variant, 2), coupons=COUPONS)
    buyer.place("key-0")
    shop.fill_cart(buyer.id, (buyer.variant, 2))
    return buyer


def _crash(buyer: Buyer, point: str) -> None:
    if point.startswith("checkout.take_over"):
        die_at("checkout.reserve.after", buyer.place)
        let_lease_run_out()
    die_at(point, buyer.place)


def _new_orders(buyer: Buyer) -> list[Order]:
    return list(Order.objects.placed().filter(user_id=buyer.id, cart_version=3))


def _assert_one_order(buyer: Buyer, shop: Shop, published: Any) -> None:
    assert_nothing_is_lost(shop)
    [order] = _new_orders(buyer)
    assert order.status == "awaiting_payment"
    assert [event.cart_version for event in published(OrderPlaced)] == [2, 3]
    assert list(shop.reservations) == [str(order.id)]
    assert shop.stock[str(buyer.variant)] == 8
    assert shop.coupon_uses == {str(order.id): {"TEN", "SHIP"}}
    payable = [payment["id"] for payment in shop.payments.values() if payment["status"] != "canceled"]
    assert payable == [str(order.payment_id)]


@pytest.mark.parametrize("point", POINTS)
def test_the_buyers_retry_resumes_the_checkout(old_buyer: Buyer, shop: Shop, published: Any, point: str):
    _crash(old_buyer, point)
    draft = Order.objects.filter(user_id=old_buyer.id).exclude(cart_version=2).first()
    assert _new_orders(old_buyer) == ([draft] if point == "checkout.place.after" else [])
    let_lease_run_out()
    shop.hear_events()  # which takes them no time, compared with a lease

    answer = old_buyer.place()

    if draft is not None:  # it is the same order that goes on
        assert answer["id"] == str(draft.id)
    assert Order.objects.count() == len(shop.payments) == 2
    assert old_buyer.place() == answer
    _assert_one_order(old_buyer, shop, published)


@pytest.mark.parametrize("point", POINTS)
def test_without_a_retry_the_sweeper_undoes_everything(
    old_buyer: Buyer, shop: Shop, published: Any, point: str
):
    _crash(old_buyer, point)
    let_time_pass()

    services.settle_checkouts()
    services.cancel_expired_orders()

    assert_nothing_is_lost(shop)
    if point == "checkout.place.after":  # its order is there, and its answer for whoever asks again
        _assert_one_order(old_buyer, shop, published)
        return
    assert not _new_orders(old_buyer)
    assert len(published(OrderPlaced)) == 1
    held = sum(line["quantity"] for lines in shop.reservations.values() for line in lines)
    assert shop.stock[str(old_buyer.variant)] == 10 - held
    assert {str(saga.step) for saga in CheckoutSaga.objects.all()} <= {"done", "undone"}

    old_buyer.place("key-2")

    _assert_one_order(old_buyer, shop, published)


def test_after_the_last_commit_the_retry_gets_the_answer_that_never_arrived(
    buyer: Buyer, shop: Shop, published: Any
):
    die_at("checkout.place.after", buyer.place)
    number = buyer.order().number
    shop.calls.clear()

    assert buyer.place()["number"] == number
    assert shop.calls == []
    assert len(published(OrderPlaced)) == 1


def test_while_the_lease_runs_the_retry_is_told_to_wait(buyer: Buyer):
    die_at("checkout.reserve.after", buyer.place)

    with pytest.raises(IdempotencyInProgress):
        buyer.place()


def test_a_retry_with_another_body_is_refused_also_after_a_crash(buyer: Buyer):
    die_at("checkout.reserve.after", buyer.place)
    let_lease_run_out()

    with pytest.raises(IdempotencyKeyReused):
        buyer.place(body=b"another")


def test_what_is_resumed_is_the_cart_as_it_was(buyer: Buyer, shop: Shop, published: Any):
    die_at("checkout.reserve.after", buyer.place)
    shop.fill_cart(buyer.id, (shop.sell(), 1))
    shop.prices[str(buyer.variant)] = 1
    let_lease_run_out()

    answer = buyer.place()

    assert [(line["variant_id"], line["unit_price"]["amount"]) for line in answer["lines"]] == [
        (str(buyer.variant), 1999)
    ]
    (event,) = published(OrderPlaced)
    assert event.cart_version == 1


def test_another_key_must_wait_for_the_lease_and_then_leaves_the_dead_checkout_to_the_sweeper(
    buyer: Buyer, shop: Shop, published: Any
):
    die_at("checkout.create_payment.after", buyer.place)
    with pytest.raises(CheckoutInProgress):
        buyer.place("key-2")
    let_lease_run_out()

    buyer.place("key-2")
    services.settle_checkouts()

    assert len(published(OrderPlaced)) == 1
    assert shop.stock[str(buyer.variant)] == 8
    assert_nothing_is_lost(shop)


def test_a_process_that_was_only_slow_changes_nothing_after_it_lost_the_checkout(
    buyer: Buyer, shop: Shop, published: Any
):
    answers: list[dict[str, Any]] = []

    def be_overtaken() -> None:
        let_lease_run_out()
        answers.append(buyer.place())

    with armed("checkout.create_payment.after", be_overtaken), pytest.raises(IdempotencyInProgress):
        buyer.place()

    assert len(published(OrderPlaced)) == len(shop.payments) == 1
    assert buyer.place() == answers[0]
    assert_nothing_is_lost(shop)


def test_a_slow_process_that_fails_does_not_undo_what_its_successor_made(
    buyer: Buyer, shop: Shop, published: Any
):
    def be_overtaken_and_fail() -> None:
        let_lease_run_out()
        buyer.place()
        raise ValueError("an unforeseen mistake")

    with (
        armed("checkout.create_payment.after", be_overtaken_and_fail),
        pytest.raises(ValueError, match="unforeseen"),
    ):
        buyer.place()

    assert len(published(OrderPlaced)) == 1
    assert "release" not in shop.calls
    assert_nothing_is_lost(shop)


def test_a_reservation_that_is_late_finds_the_order_closed(buyer: Buyer, shop: Shop):
    def be_swept() -> None:
        let_time_pass()
        services.settle_checkouts()

    with armed("checkout.reserve.before", be_swept), pytest.raises(ServiceUnavailable):
        buyer.place()

    assert shop.stock[str(buyer.variant)] == 10
    assert not Order.objects.placed().exists()


def test_a_resumed_checkout_that_is_out_of_stock_gives_back_what_the_first_try_may_hold(
    buyer: Buyer, shop: Shop
):
    die_at("checkout.reserve.before", buyer.place)
    shop.stock[str(buyer.variant)] = 0
    let_lease_run_out()

    with pytest.raises(OutOfStock):
        buyer.place()

    assert shop.calls[-2:] == ["cancel", "release"]
    assert buyer.saga().step == CheckoutStep.UNDONE
