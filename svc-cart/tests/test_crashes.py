"""The process dies at every failpoint; then whoever it was comes again, as svc-orders and the broker do."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from cart import services
from cart.models import AppliedCoupon, Cart, Coupon, CouponOrder, CouponUse
from shared_lib.failpoints import NAMES, Hit
from shared_lib.inbox.models import InboxEvent
from shared_lib.models import uuid7
from shared_lib.testing.failpoints import armed
from tests.factories import AppliedCouponFactory, CouponFactory, LineFactory
from tests.messages import order_cancelled, order_confirmed
from tests.uses import take, user_of

pytestmark = pytest.mark.django_db(transaction=True)

SIDES = ("before", "inside", "after")


def die_at(point: str, act: Callable[[], Any]) -> None:
    with armed(point), pytest.raises(Hit):
        act()


def uses(code: str = "WELCOME10") -> list[UUID]:
    """The orders that use the coupon, whose own count is always the same."""
    coupon = Coupon.objects.get(code=code)
    orders = list(coupon.uses.order_by("order_id").values_list("order_id", flat=True))
    assert coupon.used == len(orders)
    return orders


@pytest.mark.parametrize("side", SIDES)
def test_a_use_is_there_as_a_whole_or_not_at_all_and_the_retry_completes_it(side: str) -> None:
    CouponFactory.create(code="WELCOME10", total_limit=1)
    order_id, user_id = uuid7(), uuid7()

    def use() -> tuple[str, bool]:
        return services.use_coupon(order_id=order_id, user_id=user_id, code="WELCOME10")

    die_at(f"coupons.use.{side}", use)
    done = side == "after"
    assert uses() == ([order_id] if done else [])
    assert CouponOrder.objects.count() == int(done)
    assert use() == ("WELCOME10", not done)
    assert uses() == [order_id]


@pytest.mark.parametrize("side", SIDES)
def test_uses_come_back_as_a_whole_or_not_at_all_and_the_retry_completes_it(side: str) -> None:
    for code in ("ONE", "TWO"):
        CouponFactory.create(code=code)
    order_id = uuid7()
    for code in ("ONE", "TWO"):
        take(code=code, order_id=order_id)
    die_at(f"coupons.give_back.{side}", lambda: services.give_uses_back(order_id=order_id))
    expected = [] if side == "after" else [order_id]
    assert (uses("ONE"), uses("TWO")) == (expected, expected)
    assert CouponOrder.objects.filter(closed_at=None).exists() is (side != "after")
    services.give_uses_back(order_id=order_id)
    assert (uses("ONE"), uses("TWO")) == ([], [])
    assert CouponOrder.objects.get().closed_at is not None


@pytest.mark.parametrize("point", [*(f"coupons.give_back.{side}" for side in SIDES), "inbox.uncommitted"])
def test_a_cancelled_order_whose_handler_died_gives_its_uses_back_once(point: str, deliver: Any) -> None:
    CouponFactory.create(code="WELCOME10")
    other, order_id = take(code="WELCOME10"), take(code="WELCOME10")
    event_id = uuid7()
    message = order_cancelled(order_id=order_id, coupon_codes=["WELCOME10"])
    die_at(point, lambda: deliver(message, again=event_id))
    assert uses() == sorted([other, order_id])
    assert not InboxEvent.objects.exists()
    deliver(message, again=event_id)
    assert uses() == [other]


@pytest.mark.parametrize("point", [*(f"order.subtract.{side}" for side in SIDES), "inbox.uncommitted"])
def test_a_confirmed_order_whose_handler_died_is_subtracted_once(point: str, deliver: Any) -> None:
    line = LineFactory.create(quantity=5)
    AppliedCouponFactory.create(cart=line.cart, coupon=CouponFactory.create(code="WELCOME10"))
    user_id = user_of(line.cart)
    order_id, event_id = take(code="WELCOME10", user_id=user_id), uuid7()
    message = order_confirmed(
        (line.variant_id, 2),
        order_id=order_id,
        cart_id=line.cart_id,
        user_id=user_id,
        coupon_codes=["WELCOME10"],
    )
    die_at(point, lambda: deliver(message, again=event_id))
    assert state() == (1, 5, 1, False)
    assert not InboxEvent.objects.exists()
    deliver(message, again=event_id)
    assert state() == (2, 3, 0, True)


def state() -> tuple[int, int, int, bool]:
    """Of the one cart: version, units, coupons; and whether the use is paid."""
    cart = Cart.objects.get()
    return (
        cart.version,
        cart.lines.get().quantity,
        AppliedCoupon.objects.count(),
        CouponUse.objects.get().paid,
    )


def test_every_point_of_this_service_stands_somewhere_and_is_hit_by_a_test_here() -> None:
    standing = set()
    for module in (Path(__file__).parents[1] / "cart").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("around", "failpoint"):
                (name,) = (
                    str(argument.value) for argument in node.args if isinstance(argument, ast.Constant)
                )
                is_pair = ast.unparse(node.func) == "around"
                standing |= {f"{name}.before", f"{name}.after"} if is_pair else {name}
    assert standing == set(NAMES["svc-cart"])
    assert standing == {
        f"{step}.{side}" for step in ("coupons.use", "coupons.give_back", "order.subtract") for side in SIDES
    }
