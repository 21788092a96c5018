"""POST and DELETE /internal/v1/coupon-uses, the coupons of a snapshot, and what events do to uses."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from cart import services, tasks
from cart.models import Coupon, CouponKind, CouponOrder, CouponUse
from shared_lib.models import uuid7
from tests.factories import (
    AppliedCouponFactory,
    CartFactory,
    CouponFactory,
    LineFactory,
    ProductFactory,
    VariantFactory,
)
from tests.messages import order_cancelled, order_confirmed, user_erased
from tests.uses import take, user_of

pytestmark = pytest.mark.django_db

USES = "/internal/v1/coupon-uses"


@pytest.fixture
def orders(internal: Any) -> Any:
    return internal("svc-orders")


def use(orders: Any, code: str = "WELCOME10", order_id: Any = None, user_id: Any = None) -> Any:
    body = {"order_id": str(order_id or uuid7()), "user_id": str(user_id or uuid7()), "code": code}
    return orders.post(USES, body)


def used(code: str = "WELCOME10") -> int:
    """How often the coupon is used: the number that the coupon keeps is that of the rows, always."""
    coupon = Coupon.objects.get(code=code)
    assert coupon.used == coupon.uses.count()
    return coupon.used


class TestTaking:
    def test_a_use_is_taken_once_for_an_order(self, orders: Any) -> None:
        CouponFactory.create(code="WELCOME10")
        order_id, user_id = uuid7(), uuid7()
        first = use(orders, "welcome10", order_id, user_id)
        assert (first.status_code, first.json()) == (201, {"order_id": str(order_id), "code": "WELCOME10"})
        again = use(orders, "WELCOME10", order_id, user_id)
        assert (again.status_code, again.json()) == (200, first.json())
        assert used() == 1

    def test_an_order_may_use_several_coupons(self, orders: Any) -> None:
        order_id = uuid7()
        for code in ("ONE", "TWO"):
            CouponFactory.create(code=code)
            assert use(orders, code, order_id).status_code == 201
        assert (used("ONE"), used("TWO")) == (1, 1)

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ({"stopped_at": timezone.now()}, "stopped"),
            ({"starts_at": timezone.now() + timedelta(hours=1)}, "not_started"),
            ({"ends_at": timezone.now() - timedelta(seconds=1)}, "expired"),
        ],
    )
    def test_what_may_not_be_used_any_more_is_refused(
        self, orders: Any, values: dict[str, Any], reason: str
    ) -> None:
        CouponFactory.create(code="WELCOME10", **values)
        response = use(orders)
        assert (response.status_code, response.json()["code"]) == (409, "coupon_not_applicable")
        assert response.json()["reason"] == reason
        assert used() == 0
        assert not CouponOrder.objects.exists()

    @pytest.mark.parametrize("code", ["NOSUCH", "", "\u0000", "A" * 500])
    def test_a_code_that_there_is_not_is_refused(self, orders: Any, code: str) -> None:
        response = use(orders, code)
        assert (response.status_code, response.json()["reason"]) == (409, "unknown")

    def test_the_total_limit_holds_for_all_and_the_same_order_asks_in_vain_for_nothing(
        self, orders: Any
    ) -> None:
        CouponFactory.create(code="WELCOME10", total_limit=2)
        mine = take(code="WELCOME10")
        take(code="WELCOME10")
        assert use(orders).json()["reason"] == "limit_reached"
        assert use(orders, order_id=mine).status_code == 200
        assert used() == 2

    def test_the_limit_for_a_user_holds_for_each_apart_and_counts_unpaid_orders(self, orders: Any) -> None:
        CouponFactory.create(code="WELCOME10", user_limit=2)
        user_id = uuid7()
        assert [use(orders, user_id=user_id).status_code for _ in range(3)] == [201, 201, 409]
        assert use(orders, user_id=user_id).json()["reason"] == "user_limit_reached"
        assert use(orders).status_code == 201

    def test_a_coupon_that_was_changed_after_its_use_still_belongs_to_the_order(self, orders: Any) -> None:
        CouponFactory.create(code="WELCOME10")
        order_id = take(code="WELCOME10")
        Coupon.objects.update(stopped_at=timezone.now())
        assert use(orders, order_id=order_id).status_code == 200

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"code": "A"},
            {"order_id": "7", "user_id": str(uuid7()), "code": "A"},
            {"order_id": str(uuid7()), "code": "A"},
        ],
    )
    def test_a_body_that_is_no_request_is_refused(self, orders: Any, body: Any) -> None:
        assert orders.post(USES, body).status_code == 422


class TestGivingBack:
    def test_every_use_of_the_order_comes_back(self, orders: Any) -> None:
        CouponFactory.create(code="ONE", total_limit=1, user_limit=1)
        CouponFactory.create(code="TWO")
        order_id, user_id = uuid7(), uuid7()
        for code in ("ONE", "TWO"):
            use(orders, code, order_id, user_id)
        other = take(code="TWO")
        assert orders.delete(f"{USES}/{order_id}").status_code == 204
        assert (used("ONE"), used("TWO")) == (0, 1)
        assert use(orders, "ONE", user_id=user_id).status_code == 201
        assert CouponUse.objects.filter(order_id=other).exists()

    def test_again_or_for_an_order_without_uses_it_is_the_same(self, orders: Any) -> None:
        CouponFactory.create(code="WELCOME10")
        order_id = take(code="WELCOME10")
        take(code="WELCOME10")
        assert [orders.delete(f"{USES}/{order_id}").status_code for _ in range(3)] == [204] * 3
        assert used() == 1
        assert orders.delete(f"{USES}/{uuid7()}").status_code == 204

    def test_what_comes_late_takes_nothing(self, orders: Any) -> None:
        CouponFactory.create(code="WELCOME10")
        order_id, never_used = take(code="WELCOME10"), uuid7()
        for gone in (order_id, never_used):
            orders.delete(f"{USES}/{gone}")
            late = use(orders, order_id=gone)
            assert (late.status_code, late.json()["code"]) == (409, "coupon_use_closed")
        assert used() == 0

    def test_a_number_that_came_back_is_given_again(self, orders: Any) -> None:
        CouponFactory.create(code="WELCOME10", user_limit=3)
        user_id = uuid7()
        first, *_ = [take(code="WELCOME10", user_id=user_id) for _ in range(3)]
        orders.delete(f"{USES}/{first}")
        assert use(orders, user_id=user_id).status_code == 201
        assert set(CouponUse.objects.values_list("number", flat=True)) == {1, 2, 3}

    def test_tombstones_go_when_nothing_can_come_late_any_more(self) -> None:
        CouponFactory.create(code="WELCOME10")
        running, old, fresh = take(code="WELCOME10"), uuid7(), uuid7()
        for order_id in (old, fresh):
            services.give_uses_back(order_id=order_id)
        CouponOrder.objects.filter(pk=old).update(closed_at=timezone.now() - timedelta(days=91))
        assert tasks.forget_closed_orders() == 1
        assert set(CouponOrder.objects.values_list("pk", flat=True)) == {running, fresh}
        assert used() == 1


@pytest.mark.parametrize("path", [USES, f"{USES}/{uuid7()}"])
def test_only_svc_orders_may_touch_uses(internal: Any, user: Any, guest: Any, path: str) -> None:
    def statuses(client: Any) -> int:
        call = client.post if path == USES else client.delete
        status: int = call(path).status_code
        return status

    assert [statuses(internal(name)) for name in ("svc-catalog", "svc-payments", "svc-cart")] == [403] * 3
    assert [statuses(client) for client in (user, guest)] == [401, 401]


class TestSnapshot:
    def test_coupons_are_told_as_rules_in_their_order(
        self, orders: Any, django_assert_num_queries: Any
    ) -> None:
        cart = CartFactory.create()
        lamp = LineFactory.create(cart=cart)
        sofa = LineFactory.create(
            cart=cart, variant=VariantFactory.create(product=ProductFactory.create(category="sofas"))
        )
        for coupon in (
            CouponFactory.create(code="SHIP", kind=CouponKind.FREE_SHIPPING),
            CouponFactory.create(code="SOFA", categories=["sofas"], minimum_amount=3000),
            CouponFactory.create(code="FIVE", kind=CouponKind.FIXED),
        ):
            AppliedCouponFactory.create(cart=cart, coupon=coupon)
        with django_assert_num_queries(2):
            body = orders.get(f"/internal/v1/carts/{cart.user_id}").json()
        rule = {"basis_points": 0, "amount": None, "minimum": None, "variant_ids": None}
        assert body["coupons"] == [
            {**rule, "code": "SHIP", "kind": "free_shipping"},
            {
                **rule,
                "code": "SOFA",
                "kind": "percent",
                "basis_points": 1000,
                "minimum": {"amount": 3000, "currency": "USD"},
                "variant_ids": [str(sofa.variant_id)],
            },
            {**rule, "code": "FIVE", "kind": "fixed", "amount": {"amount": 500, "currency": "USD"}},
        ]
        assert [line["variant_id"] for line in body["lines"]] == [str(lamp.variant_id), str(sofa.variant_id)]

    def test_what_this_user_may_not_use_now_is_left_out(self, orders: Any) -> None:
        cart = LineFactory.create().cart
        coupons: dict[str, dict[str, Any]] = {
            "GONE": {"stopped_at": timezone.now()},
            "ONCE": {"user_limit": 1},
            "FINE": {"minimum_amount": 10**9},
            "ALONE": {"exclusive": True},
        }
        for code, values in coupons.items():
            AppliedCouponFactory.create(cart=cart, coupon=CouponFactory.create(code=code, **values))
        take(code="ONCE", user_id=cart.user_id, paid=True)
        body = orders.get(f"/internal/v1/carts/{cart.user_id}").json()
        assert [coupon["code"] for coupon in body["coupons"]] == ["FINE"]

    def test_what_the_users_own_unpaid_order_holds_is_still_told(self, orders: Any) -> None:
        cart = LineFactory.create().cart
        AppliedCouponFactory.create(
            cart=cart, coupon=CouponFactory.create(code="ONCE", user_limit=1, total_limit=1)
        )
        take(code="ONCE", user_id=cart.user_id)
        body = orders.get(f"/internal/v1/carts/{cart.user_id}").json()
        assert [coupon["code"] for coupon in body["coupons"]] == ["ONCE"]


class TestEvents:
    def test_a_cancelled_order_gives_its_uses_back_once(self, deliver: Any) -> None:
        CouponFactory.create(code="WELCOME10")
        order_id = take(code="WELCOME10")
        take(code="WELCOME10")
        message = order_cancelled(order_id=order_id, coupon_codes=["WELCOME10"])
        (event_id,) = deliver(message)
        deliver(message, again=event_id)
        deliver(message)
        assert used() == 1

    def test_a_cancellation_that_overtakes_the_use_closes_the_order(self, deliver: Any, orders: Any) -> None:
        CouponFactory.create(code="WELCOME10")
        order_id = uuid7()
        deliver(order_cancelled(order_id=order_id))
        assert use(orders, order_id=order_id).json()["code"] == "coupon_use_closed"

    def test_events_in_the_wrong_order_leave_what_the_right_order_would(self, deliver: Any) -> None:
        CouponFactory.create(code="WELCOME10")
        order_id = take(code="WELCOME10")
        deliver(
            order_cancelled(order_id=order_id, version=3, was_confirmed=True),
            order_confirmed(order_id=order_id, version=2),
        )
        assert used() == 0

    def test_a_confirmed_order_takes_its_coupons_out_of_the_cart_and_counts_for_good(
        self, deliver: Any
    ) -> None:
        line = LineFactory.create(quantity=1)
        for code in ("WELCOME10", "LATER"):
            AppliedCouponFactory.create(cart=line.cart, coupon=CouponFactory.create(code=code))
        user_id = user_of(line.cart)
        order_id = take(code="WELCOME10", user_id=user_id)
        deliver(
            order_confirmed(
                (line.variant_id, 1),
                order_id=order_id,
                cart_id=line.cart_id,
                user_id=user_id,
                coupon_codes=["WELCOME10"],
            )
        )
        assert [applied.coupon.code for applied in line.cart.applied_coupons.all()] == ["LATER"]
        assert CouponUse.objects.get().paid
        line.cart.refresh_from_db()
        assert line.cart.version == 2

    def test_an_erased_user_is_named_by_no_use_and_the_use_still_counts(
        self, deliver: Any, orders: Any
    ) -> None:
        CouponFactory.create(code="WELCOME10", total_limit=1)
        user_id = uuid7()
        order_id = take(code="WELCOME10", user_id=user_id)
        deliver(user_erased(user_id))
        assert CouponUse.objects.get().user_id is None
        assert use(orders).json()["reason"] == "limit_reached"
        deliver(order_cancelled(order_id=order_id))
        assert used() == 0


class TestTheTableItself:
    """What the database refuses, whatever the code says."""

    @pytest.mark.parametrize(
        "values",
        [
            {"code": "lower"},
            {"basis_points": 0},
            {"basis_points": 10_001},
            {"kind": "fixed", "fixed_amount": 0},
            {"kind": "free_shipping", "basis_points": 1},
            {"total_limit": 1, "used": 2},
            {"starts_at": timezone.now(), "ends_at": timezone.now() - timedelta(days=1)},
            {"exclusive": True, "stackable_with": ["OTHER"]},
        ],
    )
    def test_a_coupon_that_makes_no_sense(self, values: dict[str, Any]) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            CouponFactory.create(**values)

    def test_a_second_use_of_the_same_number(self) -> None:
        coupon, user_id = CouponFactory.create(code="WELCOME10"), uuid7()
        take(code="WELCOME10", user_id=user_id)
        order = CouponOrder.objects.create(order_id=uuid7())
        with pytest.raises(IntegrityError), transaction.atomic():
            CouponUse.objects.create(order=order, coupon=coupon, user_id=user_id, number=1)
