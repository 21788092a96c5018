"""Whole lives of orders: random sequences of what buyers, sellers, staff, providers and time do to them.

SHOP_SEQUENCES says how many (15); each has at most 20 steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Sum
from django.utils import timezone
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from orders import services
from orders.models import Order, OrderPayment, Refund, RefundStatus, Return
from shared_lib.exceptions import DomainError
from shared_lib.failpoints import Hit
from shared_lib.ids import uuid7
from shared_lib.money import Money
from shared_lib.testing.failpoints import armed
from shared_lib.testing.sequences import REPEATABLE, sequences
from tests.conftest import Buyer
from tests.crashes import let_lease_run_out, let_time_pass
from tests.invariants import assert_nothing_is_lost
from tests.messages import (
    payment_attempt_failed,
    payment_canceled,
    payment_processing,
    payment_refund_failed,
    payment_refunded,
    payment_succeeded,
    stock_shortage,
)
from tests.shop import Shop

STAFF = uuid7()
COUPONS: list[dict[str, Any]] = [
    {"code": "TEN", "kind": "percent", "basis_points": 1000},
    {"code": "SHIP", "kind": "free_shipping"},
]
ALL: list[dict[str, Any]] = [{"code": "ALL", "kind": "percent", "basis_points": 10_000}, COUPONS[1]]
STEPS = [
    "fill", "coupon", "quote", "order", "order_and_die", "order_while_away", "pay", "decline", "process",
    "pay_anew", "cancel", "expire", "ship_one", "ship", "deliver", "refund_one", "refund_some", "refund",
    "refund_fails", "refund_moves", "ask_return", "approve", "reject", "receive", "shortage", "repeat_events", "sweep",
    "coupon_for_all",
]  # fmt: skip

# Random steps alone seldom come far.
BEGINNINGS = [
    ["order"],
    ["coupon", "order", "pay"],
    ["coupon", "order", "pay", "ship_one"],
    ["order", "pay", "ship", "deliver"],
    ["coupon_for_all", "order"],
]


class Life:
    """One buyer, and what happens. Refusals are answers like others."""

    def __init__(self, buyer: Buyer, shop: Shop, deliver: Any) -> None:
        self.buyer = buyer
        self.shop = shop
        self.deliver = deliver
        self.keys = 0

    def order(self) -> Order | None:
        return Order.objects.placed().filter(user_id=self.buyer.id).order_by("created_at").last()

    def step(self, name: str) -> None:
        with suppress(DomainError):
            getattr(self, name)()

    def fill(self) -> None:
        self.shop.fill_cart(self.buyer.id, (self.buyer.variant, 2), (self.shop.sell(333), 1))

    def coupon_for_all(self) -> None:
        """Nothing is left to be paid."""
        self.coupon(ALL)

    def coupon(self, some: list[dict[str, Any]] = COUPONS) -> None:
        """Coupons of this buyer only, as if they were limited by user."""
        coupons = [{**coupon, "code": f"{coupon['code']}{self.buyer.id}"} for coupon in some]
        self.shop.fill_cart(self.buyer.id, (self.buyer.variant, 3), coupons=coupons)

    def quote(self) -> None:
        request = services.CheckoutRequest(shipping_method="standard", destination=self.buyer.destination)
        services.quote_order(user_id=self.buyer.id, request=request)

    def order_and_die(self) -> None:
        self.keys += 1
        with armed("checkout.create_payment.before"), suppress(Hit):
            self.buyer.place(f"key-{self.keys}")
        let_lease_run_out()

    def order_while_away(self) -> None:
        come_back = self.shop.take_away("pay")
        self.keys += 1
        try:
            self.buyer.place(f"key-{self.keys}")
        finally:
            come_back()

    def place(self) -> None:
        self.keys += 1
        self.buyer.place(f"key-{self.keys}")

    def _move(self, status: str, tell: Any) -> None:
        order = self.order()
        if order is None or order.payment_id is None or str(order.payment_id) not in self.shop.payments:
            return
        payment = self.shop.payments[str(order.payment_id)]
        if payment["status"] not in ("succeeded", "canceled"):
            self.deliver(tell(self.shop.move_payment(payment["id"], status)))

    def pay(self) -> None:
        self._move("succeeded", payment_succeeded)

    def decline(self) -> None:
        self._move("requires_payment_method", payment_attempt_failed)

    def process(self) -> None:
        self._move("processing", payment_processing)

    def pay_anew(self) -> None:
        if order := self.order():
            services.start_payment(
                order_id=order.id, user_id=self.buyer.id, payment_id=uuid7(), provider=None
            )

    def cancel(self) -> None:
        if order := self.order():
            services.cancel_order(order_id=order.id, who=self.buyer.id)

    def expire(self) -> None:
        past = timezone.now() - timedelta(seconds=1)
        Order.objects.filter(user_id=self.buyer.id, status="awaiting_payment").update(
            expires_at=past, close_at=past
        )
        services.cancel_expired_orders()

    def ship(self, lines: dict[Any, int] | None = None) -> None:
        if order := self.order():
            services.ship_order(order_id=order.id, who=STAFF, carrier="DHL", tracking_number="1", lines=lines)

    def ship_one(self) -> None:
        self.ship({self.buyer.variant: 1})

    def deliver_it(self) -> None:
        if order := self.order():
            services.deliver_order(order_id=order.id, who=STAFF)

    def refund(self, **values: Any) -> None:
        if order := self.order():
            services.refund_order(order_id=order.id, who=STAFF, **values)

    def refund_one(self) -> None:
        self.refund(lines={self.buyer.variant: 1})

    def refund_some(self) -> None:
        self.refund(amount=Money(777, "USD"))

    def _sent(self) -> Refund | None:
        services.send_due_refunds()
        return Refund.objects.filter(order__user_id=self.buyer.id, status=RefundStatus.ACCEPTED).first()

    def refund_fails(self) -> None:
        if refund := self._sent():
            del self.shop.refunds[str(refund.id)]
            payment = self.shop.move_payment(refund.payment_id, "succeeded")
            self.deliver(payment_refund_failed(payment, refund_id=refund.id, amount=refund.amount))

    def refund_moves(self) -> None:
        if refund := self._sent():
            before = OrderPayment.objects.get(pk=refund.payment_id).refunded_amount
            payment = self.shop.move_payment(refund.payment_id, "succeeded")
            total = before + refund.amount
            self.deliver(payment_refunded(payment, refund_id=refund.id, amount=refund.amount, total=total))

    def ask_return(self) -> None:
        if order := self.order():
            services.request_return(
                order_id=order.id, user_id=self.buyer.id, lines={self.buyer.variant: 1}, reason="no"
            )

    def _return(self, status: str) -> Any:
        found = Return.objects.filter(order__user_id=self.buyer.id, status=status).first()
        return found.id if found else uuid7()

    def approve(self) -> None:
        services.approve_return(return_id=self._return("requested"), who=STAFF)

    def reject(self) -> None:
        services.reject_return(return_id=self._return("requested"), who=STAFF, reason="worn")

    def receive(self) -> None:
        services.receive_return(return_id=self._return("approved"), who=STAFF, restock=True)

    def shortage(self) -> None:
        order = self.order()
        if order is not None and order.history.filter(status="confirmed").exists():
            self.deliver(stock_shortage(order.id, self.buyer.variant))

    def repeat_events(self) -> None:
        tells = {"succeeded": payment_succeeded, "canceled": payment_canceled}
        for payment in list(self.shop.payments.values()):
            if payment["user_id"] == str(self.buyer.id) and payment["status"] in tells:
                self.deliver(tells[payment["status"]](payment))

    def sweep(self) -> None:
        let_time_pass()
        services.settle_checkouts()
        services.cancel_expired_orders()
        services.send_due_refunds()

    def check(self) -> None:
        """What holds at every moment. (The rest is constraints of the database, which every step would break.)"""
        for payment in OrderPayment.objects.filter(order__user_id=self.buyer.id):
            refunds = Refund.objects.filter(payment_id=payment.id).exclude(status=RefundStatus.FAILED)
            assert (refunds.aggregate(all=Sum("amount"))["all"] or 0) <= payment.amount
        for order in Order.objects.placed().filter(user_id=self.buyer.id):
            last = order.history.order_by("id").last()
            assert last is not None
            assert last.status == order.status
            paid = [row for row in order.payments.all() if row.status == "succeeded"]
            assert len(paid) <= 1 or order.refunds.exists()


LIVED: Counter[str] = Counter()
LIVES = sequences(15)
MOST_STEPS = 20


@pytest.fixture(scope="module", autouse=True)
def _tell_how_many() -> Iterator[None]:
    yield
    print(dict(LIVED))


@settings(
    max_examples=LIVES,
    deadline=None,
    derandomize=REPEATABLE,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    beginning=st.sampled_from(BEGINNINGS),
    steps=st.lists(st.sampled_from(STEPS), min_size=6, max_size=MOST_STEPS),
)
def test_whatever_happens_nothing_is_lost(
    make_buyer: Any, shop: Shop, deliver: Any, beginning: list[str], steps: list[str]
):
    LIVED.update(lives=1, steps=len(beginning) + len(steps))
    life = Life(make_buyer(), shop, deliver)
    names = {"order": "place", "deliver": "deliver_it"}
    for name in [*beginning, *steps]:
        life.step(names.get(name, name))
        life.check()
    life.step("repeat_events")
    life.step("sweep")
    life.step("repeat_events")
    life.step("sweep")
    life.check()
    for order in Order.objects.placed().filter(user_id=life.buyer.id):
        event(f"{order.status}, {order.payment_status}, {order.fulfillment_status}")
    assert_nothing_is_lost(shop)
