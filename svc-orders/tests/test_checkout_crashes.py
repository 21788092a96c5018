"""The process dies at every point of a checkout; then the buyer comes back with the key, or nobody does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from orders import services
from orders.exceptions import CheckoutInProgress, OutOfStock
from orders.models import CheckoutSaga, CheckoutStep, Order
from orders.services import checkout
from orders.services.placing import Draft
from shared_lib.api.idempotency import IdempotencyInProgress, IdempotencyKeyReused
from shared_lib.contracts.events import OrderPlaced
from shared_lib.exceptions import ServiceUnavailable
from tests.conftest import Buyer
from tests.shop import Crash, Shop

Arrange = Callable[[pytest.MonkeyPatch, Shop], None]


def _die(*args: Any, **kwargs: Any) -> None:
    raise Crash


def _at_call(when: str, name: str) -> Arrange:
    def arrange(monkeypatch: pytest.MonkeyPatch, shop: Shop) -> None:
        getattr(shop, when)[name].append(_die)

    return arrange


def _at(owner: Any, name: str, when: str) -> Arrange:
    """Dies before or after the function `name` of `owner`."""

    def arrange(monkeypatch: pytest.MonkeyPatch, shop: Shop) -> None:
        original = getattr(owner, name)

        def dying(*args: Any, **kwargs: Any) -> Any:
            if when == "after":
                original(*args, **kwargs)
            raise Crash

        monkeypatch.setattr(owner, name, dying)

    return arrange


POINTS = [
    pytest.param(_at(Order, "save", "before"), id="inside transaction 1"),
    pytest.param(_at(checkout, "_begin", "after"), id="after transaction 1"),
    pytest.param(_at_call("before", "cart"), id="before the cart"),
    pytest.param(_at_call("after", "cart"), id="after the cart"),
    pytest.param(_at(checkout._Checkout, "_advance", "before"), id="before the cart is fixed"),
    pytest.param(_at(checkout._Checkout, "_advance", "after"), id="after the cart is fixed"),
    pytest.param(_at(checkout._Checkout, "replace_earlier_orders", "after"), id="after replacing"),
    pytest.param(_at_call("before", "reserve"), id="before the reservation"),
    pytest.param(_at_call("after", "reserve"), id="after the reservation"),
    pytest.param(_at_call("before", "pay"), id="before the payment"),
    pytest.param(_at_call("after", "pay"), id="after the payment"),
    pytest.param(_at(checkout._Checkout, "place", "before"), id="before transaction 2"),
    pytest.param(_at(Draft, "write", "before"), id="inside transaction 2, at its start"),
    pytest.param(_at(Draft, "write", "after"), id="inside transaction 2, before its commit"),
]


def _crash(buyer: Buyer, arrange: Arrange) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        arrange(monkeypatch, buyer.shop)
        with pytest.raises(Crash):
            buyer.place()
    buyer.shop.before.clear()
    buyer.shop.after.clear()


def _let_lease_run_out() -> None:
    CheckoutSaga.objects.update(leased_until=timezone.now() - timedelta(seconds=1))


def _let_deadline_pass() -> None:
    past = timezone.now() - timedelta(seconds=1)
    CheckoutSaga.objects.filter(step__in=["started", "reserving", "undoing"]).update(
        leased_until=past, deadline=past
    )


def _assert_one_order(buyer: Buyer, shop: Shop, published: Any) -> None:
    order = buyer.order()
    assert order.status == "awaiting_payment"
    assert [event.order_id for event in published(OrderPlaced)] == [order.id]
    assert list(shop.reservations) == [str(order.id)]
    assert shop.stock[str(buyer.variant)] == 8
    payable = [payment["id"] for payment in shop.payments.values() if payment["status"] != "canceled"]
    assert payable == [str(order.payment_id)]


@pytest.mark.parametrize("arrange", POINTS)
def test_the_buyers_retry_resumes_the_checkout(buyer: Buyer, shop: Shop, published: Any, arrange: Arrange):
    _crash(buyer, arrange)
    assert not Order.objects.placed().exists()
    draft = Order.objects.first()
    _let_lease_run_out()

    answer = buyer.place()

    _assert_one_order(buyer, shop, published)
    if draft is not None:  # it is the same order that goes on
        assert answer["id"] == str(draft.id)
    assert Order.objects.count() == 1
    assert len(shop.payments) == 1
    assert buyer.place() == answer


@pytest.mark.parametrize("arrange", POINTS)
def test_without_a_retry_the_sweeper_undoes_everything(
    buyer: Buyer, shop: Shop, published: Any, arrange: Arrange
):
    _crash(buyer, arrange)
    _let_deadline_pass()

    services.settle_checkouts()

    assert not Order.objects.placed().exists()
    assert not published(OrderPlaced)
    assert shop.stock[str(buyer.variant)] == 10
    assert not shop.reservations
    assert all(payment["status"] == "canceled" for payment in shop.payments.values())
    assert not CheckoutSaga.objects.exclude(step=CheckoutStep.UNDONE).exists()

    buyer.place()

    _assert_one_order(buyer, shop, published)


def test_after_the_last_commit_the_retry_gets_the_answer_that_never_arrived(
    buyer: Buyer, shop: Shop, published: Any
):
    _crash(buyer, _at(checkout._Checkout, "place", "after"))
    number = buyer.order().number
    shop.calls.clear()

    assert buyer.place()["number"] == number
    assert shop.calls == []
    _assert_one_order(buyer, shop, published)


def test_while_the_lease_runs_the_retry_is_told_to_wait(buyer: Buyer):
    _crash(buyer, _at_call("after", "reserve"))

    with pytest.raises(IdempotencyInProgress):
        buyer.place()


def test_a_retry_with_another_body_is_refused_also_after_a_crash(buyer: Buyer):
    _crash(buyer, _at_call("after", "reserve"))
    _let_lease_run_out()

    with pytest.raises(IdempotencyKeyReused):
        buyer.place(body=b"another")


def test_what_is_resumed_is_the_cart_as_it_was(buyer: Buyer, shop: Shop, published: Any):
    _crash(buyer, _at_call("after", "reserve"))
    shop.fill_cart(buyer.id, (shop.sell(), 1))
    shop.prices[str(buyer.variant)] = 1
    _let_lease_run_out()

    answer = buyer.place()

    assert [(line["variant_id"], line["unit_price"]["amount"]) for line in answer["lines"]] == [
        (str(buyer.variant), 1999)
    ]
    (event,) = published(OrderPlaced)
    assert event.cart_version == 1


def test_another_key_must_wait_for_the_lease_and_then_leaves_the_dead_checkout_to_the_sweeper(
    buyer: Buyer, shop: Shop, published: Any
):
    _crash(buyer, _at_call("after", "pay"))
    with pytest.raises(CheckoutInProgress):
        buyer.place("key-2")
    _let_lease_run_out()

    buyer.place("key-2")
    services.settle_checkouts()

    _assert_one_order(buyer, shop, published)


def test_a_process_that_was_only_slow_changes_nothing_after_it_lost_the_checkout(
    buyer: Buyer, shop: Shop, published: Any
):
    answers: list[dict[str, Any]] = []

    def be_overtaken(request: Any) -> None:
        shop.after["pay"].clear()
        _let_lease_run_out()
        answers.append(buyer.place())

    shop.after["pay"].append(be_overtaken)
    with pytest.raises(IdempotencyInProgress):
        buyer.place()

    _assert_one_order(buyer, shop, published)
    assert buyer.place() == answers[0]


def test_a_slow_process_that_fails_does_not_undo_what_its_successor_made(
    buyer: Buyer, shop: Shop, published: Any
):
    def be_overtaken_and_fail(request: Any) -> None:
        shop.after["pay"].clear()
        _let_lease_run_out()
        buyer.place()
        raise ValueError("an unforeseen mistake")

    shop.after["pay"].append(be_overtaken_and_fail)
    with pytest.raises(ValueError, match="unforeseen"):
        buyer.place()

    _assert_one_order(buyer, shop, published)
    assert "release" not in shop.calls


def test_a_reservation_that_is_late_finds_the_order_closed(buyer: Buyer, shop: Shop):
    def be_swept(request: Any) -> None:
        shop.before["reserve"].clear()
        _let_deadline_pass()
        services.settle_checkouts()

    shop.before["reserve"].append(be_swept)
    with pytest.raises(ServiceUnavailable):
        buyer.place()

    assert shop.stock[str(buyer.variant)] == 10
    assert not Order.objects.placed().exists()


def test_a_resumed_checkout_that_is_out_of_stock_gives_back_what_the_first_try_may_hold(
    buyer: Buyer, shop: Shop
):
    _crash(buyer, _at_call("before", "reserve"))
    shop.stock[str(buyer.variant)] = 0
    _let_lease_run_out()

    with pytest.raises(OutOfStock):
        buyer.place()

    assert shop.calls[-2:] == ["cancel", "release"]
    assert buyer.saga().step == "undone"
