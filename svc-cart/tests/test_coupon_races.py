"""Uses of coupons taken and given back at the same moment: real threads on real PostgreSQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from threading import Thread
from typing import Any
from uuid import UUID

import pytest

from cart import services
from cart.exceptions import CouponNotApplicable, CouponUseClosed
from cart.models import AppliedCoupon, Coupon, CouponOrder, CouponUse
from cart.selectors import Owner, hash_token, show_cart
from shared_lib.models import uuid7
from shared_lib.testing.failpoints import armed
from shared_lib.testing.races import at_once, until_somebody_waits
from tests.factories import CartFactory, CouponFactory, LineFactory, VariantFactory
from tests.uses import take

pytestmark = pytest.mark.django_db(transaction=True)


def using(code: str, *, user_id: UUID | None = None, order_id: UUID | None = None) -> Callable[[], Any]:
    order_id, user_id = order_id or uuid7(), user_id or uuid7()
    return lambda: services.use_coupon(order_id=order_id, user_id=user_id, code=code)


def giving_back(order_id: UUID) -> Callable[[], Any]:
    return lambda: services.give_uses_back(order_id=order_id)


def words(results: list[Any]) -> Counter[str]:
    """What came out, counted: `new`, `same`, the reason of a refusal, or the name of what was raised."""

    def word(result: Any) -> str:
        if isinstance(result, CouponNotApplicable):
            return str(result.extra["reason"])
        if isinstance(result, Exception):
            return type(result).__name__
        return "new" if result[1] else "same"

    return Counter(map(word, results))


def assert_counted(code: str, used: int) -> None:
    coupon = Coupon.objects.get(code=code)
    assert (coupon.used, coupon.uses.count()) == (used, used)


@pytest.mark.parametrize("limit", [1, 3])
def test_the_last_uses_go_to_as_many_buyers_as_there_are_uses(limit: int) -> None:
    CouponFactory.create(code="LAST", total_limit=limit)
    results = at_once(*[using("LAST") for _ in range(12)])
    assert words(results) == {"new": limit, "limit_reached": 12 - limit}
    assert_counted("LAST", limit)


@pytest.mark.parametrize("limit", [1, 2])
def test_one_user_with_many_orders_at_once_stops_at_the_users_limit(limit: int) -> None:
    CouponFactory.create(code="ONCE", user_limit=limit)
    user_id = uuid7()
    results = at_once(*[using("ONCE", user_id=user_id) for _ in range(8)], *[using("ONCE") for _ in range(4)])
    assert words(results[:8]) == {"new": limit, "user_limit_reached": 8 - limit}
    assert words(results[8:]) == {"new": 4}
    assert_counted("ONCE", limit + 4)
    assert set(CouponUse.objects.filter(user_id=user_id).values_list("number", flat=True)) == set(
        range(1, limit + 1)
    )


def test_one_order_that_asks_many_times_at_once_uses_the_coupon_once() -> None:
    CouponFactory.create(code="ONCE")
    order_id, user_id = uuid7(), uuid7()
    results = at_once(*[using("ONCE", user_id=user_id, order_id=order_id) for _ in range(8)])
    assert words(results) == {"new": 1, "same": 7}
    assert_counted("ONCE", 1)


@pytest.mark.parametrize("_", range(5))
def test_a_use_and_its_giving_back_at_once_leave_nothing(_: int) -> None:
    CouponFactory.create(code="RACE")
    order_id, user_id = uuid7(), uuid7()
    *uses, gave = at_once(
        *[using("RACE", user_id=user_id, order_id=order_id) for _ in range(3)], giving_back(order_id)
    )
    assert gave is None
    assert set(words(uses)) <= {"new", "same", "CouponUseClosed"}
    assert CouponOrder.objects.get().closed_at is not None
    assert_counted("RACE", 0)


def test_a_delete_that_comes_while_the_use_is_being_written_waits_and_takes_it_back() -> None:
    CouponFactory.create(code="RACE")
    order_id, results = uuid7(), []
    other = Thread(target=lambda: results.extend(at_once(giving_back(order_id))))

    def meanwhile() -> None:
        other.start()
        until_somebody_waits()

    with armed("coupons.use.inside", meanwhile):
        assert using("RACE", order_id=order_id)()[1] is True
    other.join(10)
    assert results == [None]
    assert_counted("RACE", 0)


def test_a_use_that_comes_while_the_order_is_being_closed_waits_and_takes_nothing() -> None:
    CouponFactory.create(code="RACE")
    order_id, results = take(code="RACE"), []
    other = Thread(target=lambda: results.extend(at_once(using("RACE", order_id=order_id))))

    def meanwhile() -> None:
        other.start()
        until_somebody_waits()

    with armed("coupons.give_back.inside", meanwhile):
        services.give_uses_back(order_id=order_id)
    other.join(10)
    assert isinstance(results[0], CouponUseClosed)
    assert_counted("RACE", 0)


def test_what_is_given_back_many_times_at_once_comes_back_once() -> None:
    for code in ("ONE", "TWO"):
        CouponFactory.create(code=code)
    order_id = uuid7()
    for code in ("ONE", "TWO"):
        take(code=code, order_id=order_id)
        take(code=code)
    assert at_once(*[giving_back(order_id) for _ in range(6)]) == [None] * 6
    assert_counted("ONE", 1)
    assert_counted("TWO", 1)


def test_orders_that_share_coupons_give_back_and_take_at_once_without_a_deadlock() -> None:
    codes = ["ONE", "TWO", "THREE"]
    for code in codes:
        CouponFactory.create(code=code)
    orders = [uuid7() for _ in range(5)]
    for number, order_id in enumerate(orders):
        for code in codes[number % 3 :] + codes[: number % 3]:
            take(code=code, order_id=order_id)
    results = at_once(*[giving_back(order_id) for order_id in orders], *[using(code) for code in codes])
    assert results[:5] == [None] * 5
    assert words(results[5:]) == {"new": 3}
    for code in codes:
        assert_counted(code, 1)


def test_a_limit_that_falls_while_the_coupon_is_used_holds() -> None:
    coupon = CouponFactory.create(code="LESS", total_limit=10)
    results = at_once(
        lambda: services.change_coupon(
            coupon_id=coupon.pk, changes={"total_limit": 2}, precondition=lambda _: None
        ),
        *[using("LESS") for _ in range(8)],
    )
    coupon.refresh_from_db()
    assert coupon.used <= (coupon.total_limit or 0)
    if results[0] is None:
        assert coupon.total_limit == 2
    else:
        assert (type(results[0]).__name__, coupon.total_limit) == ("InvalidValue", 10)
    assert_counted("LESS", coupon.used)


def test_a_coupon_that_is_stopped_at_that_moment_is_used_before_or_not_at_all() -> None:
    coupon = CouponFactory.create(code="STOP")
    results = at_once(
        lambda: services.stop_coupon(coupon_id=coupon.pk, precondition=lambda _: None),
        *[using("STOP") for _ in range(6)],
    )
    counted = words(results[1:])
    assert set(counted) <= {"new", "stopped"}
    assert_counted("STOP", counted["new"])


def test_a_coupon_put_in_by_two_tabs_is_there_once() -> None:
    CouponFactory.create(code="TABS")
    cart = LineFactory.create().cart
    owner = Owner.user(cart.user_id)  # type: ignore[arg-type]
    results = at_once(*[lambda: services.apply_coupon(owner=owner, code="TABS") for _ in range(6)])
    assert results == [None] * 6
    cart.refresh_from_db()
    assert (AppliedCoupon.objects.count(), cart.version) == (1, 2)


def test_an_exclusive_coupon_and_another_at_once_do_not_both_get_in() -> None:
    CouponFactory.create(code="ALONE", exclusive=True)
    CouponFactory.create(code="OTHER")
    owner = Owner.user(LineFactory.create().cart.user_id)  # type: ignore[arg-type]
    results = at_once(
        *[lambda code=code: services.apply_coupon(owner=owner, code=code) for code in ("ALONE", "OTHER")]
    )
    assert results.count(None) == 1
    assert len(show_cart(owner=owner).coupons) == 1


def test_two_carts_that_merge_into_one_at_once_bring_each_coupon_once() -> None:
    variant = VariantFactory.create(stock__available=99)
    coupons = CouponFactory.create_batch(4)
    tokens = []
    for mine in (coupons[:3], coupons[1:]):
        token = services.add_line(owner=Owner(), variant_id=variant.pk, quantity=3)
        assert token is not None
        for coupon in mine:
            services.apply_coupon(owner=Owner.guest(token), code=coupon.code)
        tokens.append(token)
    user_id = CartFactory.create().user_id
    assert user_id is not None

    def merging(token: str) -> Callable[[], Any]:
        return lambda: services.merge_carts(user_id=user_id, token_hash=hash_token(token))

    assert at_once(*[merging(token) for token in tokens * 2]) == [None] * 4
    cart = show_cart(owner=Owner.user(user_id))
    assert [line.quantity for line in cart.lines] == [6]
    assert sorted(coupon.code for coupon in cart.coupons) == sorted(coupon.code for coupon in coupons)


def test_a_line_changed_by_two_tabs_is_what_one_of_them_said_and_both_count_as_changes() -> None:
    line = LineFactory.create(quantity=1)
    owner = Owner.user(line.cart.user_id)  # type: ignore[arg-type]

    def changing(quantity: int) -> Callable[[], Any]:
        return lambda: services.change_line(owner=owner, line_id=line.pk, quantity=quantity)

    assert at_once(*[changing(quantity) for quantity in (2, 3, 4, 5)]) == [None] * 4
    cart = show_cart(owner=owner)
    assert cart.lines[0].quantity in (2, 3, 4, 5)
    assert cart.version == 5


def test_a_line_removed_by_one_tab_while_another_changes_it_is_gone() -> None:
    line = LineFactory.create(quantity=1)
    owner = Owner.user(line.cart.user_id)  # type: ignore[arg-type]
    removed, *changed = at_once(
        lambda: services.remove_line(owner=owner, line_id=line.pk),
        *[lambda: services.change_line(owner=owner, line_id=line.pk, quantity=7) for _ in range(3)],
    )
    assert removed is None
    assert {type(result).__name__ for result in changed} <= {"NoneType", "LineNotFound"}
    assert show_cart(owner=owner).lines == []
