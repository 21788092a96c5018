"""POST /cart/coupons and DELETE /cart/coupons/{code}: what a storefront sees."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from cart.models import AppliedCoupon, Coupon, CouponKind, Stock
from tests.factories import (
    AppliedCouponFactory,
    CartFactory,
    CouponFactory,
    LineFactory,
    ProductFactory,
    VariantFactory,
)
from tests.uses import take

pytestmark = pytest.mark.django_db

CART = "/api/v1/cart"
COUPONS = "/api/v1/cart/coupons"


def usd(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}


def add(client: Any, variant: Any, quantity: int = 1, **headers: Any) -> Any:
    return client.post(
        f"{CART}/lines", {"variant_id": str(variant.pk), "quantity": quantity}, headers=headers
    )


def apply(client: Any, code: str, **headers: Any) -> Any:
    return client.post(COUPONS, {"code": code}, headers=headers)


def reason(response: Any) -> Any:
    body = response.json()
    assert (response.status_code, body["code"]) == (422, "coupon_not_applicable")
    return body["reason"]


def applied(client: Any) -> dict[str, str | None]:
    """The coupons of the cart, each with the reason why it does not apply."""
    return {coupon["code"]: coupon["reason"] for coupon in client.get(CART).json()["coupons"]}


@pytest.fixture
def filled(user: Any, variant: Any) -> Any:
    """A user whose cart has two lamps at 19.99."""
    add(user, variant, 2)
    return user


def test_a_coupon_lowers_the_total(filled: Any) -> None:
    CouponFactory.create(code="WELCOME10")
    before = filled.get(CART).json()
    response = apply(filled, "WELCOME10")
    assert response.status_code == 200
    assert response.json() == {
        **before,
        "version": before["version"] + 1,
        "coupons": [
            {"code": "WELCOME10", "kind": "percent", "applied": True, "reason": None, "discount": usd(400)}
        ],
        "subtotal": usd(3998),
        "discount": usd(400),
        "total": usd(3598),
    }
    assert filled.get(CART).json() == response.json()


def test_upper_and_lower_case_are_the_same_and_a_second_time_changes_nothing(filled: Any) -> None:
    CouponFactory.create(code="WELCOME10")
    first = apply(filled, " welcome10 ")
    assert first.json()["coupons"][0]["code"] == "WELCOME10"
    assert apply(filled, "Welcome10").json() == first.json()


def test_a_guest_may_use_a_coupon(guest: Any, variant: Any) -> None:
    token = {"X-Cart-Token": add(guest, variant, 2).headers["X-Cart-Token"]}
    CouponFactory.create(code="FIVE", kind=CouponKind.FIXED, user_limit=1)
    assert apply(guest, "five", **token).json()["discount"] == usd(500)
    assert guest.delete(f"{COUPONS}/FIVE", headers=token).json()["discount"] == usd(0)


def test_free_shipping_is_shown_but_takes_nothing_here(filled: Any) -> None:
    CouponFactory.create(code="SHIPFREE", kind=CouponKind.FREE_SHIPPING)
    body = apply(filled, "SHIPFREE").json()
    assert (body["coupons"][0]["kind"], body["coupons"][0]["applied"]) == ("free_shipping", True)
    assert body["total"] == body["subtotal"]


def test_the_discount_follows_prices_and_quantities(filled: Any, variant: Any) -> None:
    CouponFactory.create(code="TENTH", minimum_amount=3000)
    line = apply(filled, "TENTH").json()["lines"][0]
    type(variant).objects.update(price_amount=3000)
    assert filled.get(CART).json()["discount"] == usd(600)
    filled.patch(f"{CART}/lines/{line['id']}", {"quantity": 1})
    assert filled.get(CART).json()["discount"] == usd(300)
    type(variant).objects.update(price_amount=2999)
    assert filled.get(CART).json()["discount"] == usd(0)
    assert applied(filled) == {"TENTH": "minimum_not_met"}


def test_a_coupon_for_categories_takes_of_their_lines_only(user: Any) -> None:
    lamp = VariantFactory.create(price_amount=1000)
    sofa = VariantFactory.create(price_amount=50_000, product=ProductFactory.create(category="sofas"))
    CouponFactory.create(
        code="LIGHT", basis_points=5000, categories=["lighting"], category_slugs=["lighting", "lamps"]
    )
    add(user, sofa)
    assert reason(apply(user, "LIGHT")) == "no_matching_lines"
    add(user, lamp)
    assert apply(user, "LIGHT").json()["discount"] == usd(500)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"stopped_at": timezone.now()}, "stopped"),
        ({"starts_at": timezone.now() + timedelta(hours=1)}, "not_started"),
        ({"ends_at": timezone.now() - timedelta(seconds=1)}, "expired"),
        ({"total_limit": 2, "used": 2}, "limit_reached"),
        ({"categories": ["sofas"]}, "no_matching_lines"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(
    filled: Any, values: dict[str, Any], expected: str
) -> None:
    CouponFactory.create(code="NOTNOW", **values)
    assert reason(apply(filled, "NOTNOW")) == expected
    assert filled.get(CART).json()["version"] == 1
    assert not AppliedCoupon.objects.exists()


def test_a_minimum_that_is_not_met_is_named(filled: Any) -> None:
    CouponFactory.create(code="BIG", minimum_amount=3999)
    response = apply(filled, "BIG")
    assert reason(response) == "minimum_not_met"
    assert response.json()["minimum"] == usd(3999)
    Coupon.objects.update(minimum_amount=3998)
    assert apply(filled, "BIG").status_code == 200


@pytest.mark.parametrize("code", ["NOSUCH", "x", "ÜMLAUT", "a b", "' OR 1=1 --", "\u2028A", "%", "A" * 100])
def test_a_code_that_there_is_not_is_unknown(filled: Any, code: str) -> None:
    assert reason(apply(filled, code)) == "unknown"


@pytest.mark.parametrize(
    "body", [{}, {"code": ""}, {"code": None}, {"code": "A" * 101}, {"code": "A\x00"}, {"code": ["A"]}]
)
def test_a_body_without_a_code_is_refused(filled: Any, body: Any) -> None:
    response = filled.post(COUPONS, body)
    assert (response.status_code, response.json()["code"]) == (422, "validation_failed")


def test_there_is_nothing_to_take_from_in_an_empty_cart_or_none(user: Any, guest: Any) -> None:
    CouponFactory.create(code="WELCOME10")
    for client in (user, guest):
        assert reason(apply(client, "WELCOME10")) == "no_matching_lines"
    CartFactory.create(user_id=user.user_id)
    assert reason(apply(user, "WELCOME10")) == "no_matching_lines"


def test_exclusive_coupons_stay_alone(filled: Any) -> None:
    CouponFactory.create(code="ALONE", exclusive=True)
    CouponFactory.create(code="OTHER")
    apply(filled, "ALONE")
    assert reason(apply(filled, "OTHER")) == "not_combinable"
    filled.delete(f"{COUPONS}/ALONE")
    assert apply(filled, "OTHER").status_code == 200
    assert reason(apply(filled, "ALONE")) == "not_combinable"


def test_coupons_that_name_each_other_go_together(filled: Any) -> None:
    CouponFactory.create(code="ONE", stackable_with=["TWO"])
    CouponFactory.create(code="TWO", kind=CouponKind.FIXED)
    CouponFactory.create(code="THREE")
    apply(filled, "ONE")
    assert apply(filled, "TWO").json()["discount"] == usd(900)
    assert reason(apply(filled, "THREE")) == "not_combinable"


def test_a_cart_holds_only_so_many_coupons(filled: Any) -> None:
    for number in range(5):
        assert apply(filled, CouponFactory.create(code=f"C-{number}").code).status_code == 200
    assert reason(apply(filled, CouponFactory.create().code)) == "too_many"
    assert len(applied(filled)) == 5


def test_a_coupon_is_taken_out_again(filled: Any) -> None:
    CouponFactory.create(code="WELCOME10")
    apply(filled, "WELCOME10")
    response = filled.delete(f"{COUPONS}/welcome10")
    assert response.status_code == 200
    assert (response.json()["coupons"], response.json()["version"]) == ([], 3)
    for code in ("WELCOME10", "NOSUCH", "%00", "%E2%80%A8"):
        gone = filled.delete(f"{COUPONS}/{code}")
        assert (gone.status_code, gone.json()["code"]) == (404, "coupon_not_found")


def test_a_change_meant_for_another_state_of_the_cart_is_refused(filled: Any) -> None:
    CouponFactory.create(code="WELCOME10")
    tag = filled.get(CART).headers["ETag"]
    assert apply(filled, "WELCOME10", **{"If-Match": tag}).status_code == 200
    CouponFactory.create(code="SECOND")
    assert apply(filled, "SECOND", **{"If-Match": tag}).status_code == 412
    assert filled.delete(f"{COUPONS}/WELCOME10", headers={"If-Match": tag}).status_code == 412
    assert list(applied(filled)) == ["WELCOME10"]


def test_a_coupon_that_is_stopped_later_stays_in_the_cart_and_says_why_it_takes_nothing(filled: Any) -> None:
    CouponFactory.create(code="WELCOME10")
    apply(filled, "WELCOME10")
    Coupon.objects.update(stopped_at=timezone.now())
    assert filled.get(CART).json()["discount"] == usd(0)
    assert applied(filled) == {"WELCOME10": "stopped"}


def test_emptying_the_cart_takes_the_coupons_out(filled: Any) -> None:
    CouponFactory.create(code="WELCOME10")
    apply(filled, "WELCOME10")
    assert filled.delete(CART).json()["coupons"] == []


def test_coupons_in_the_carts_of_others_are_theirs(filled: Any, api: Any, variant: Any) -> None:
    CouponFactory.create(code="WELCOME10")
    apply(filled, "WELCOME10")
    other = api.as_user()
    add(other, variant)
    assert applied(other) == {}
    assert other.delete(f"{COUPONS}/WELCOME10").status_code == 404
    assert applied(filled) == {"WELCOME10": None}


def test_what_a_user_paid_for_counts_against_the_users_limit(filled: Any, deliver: Any) -> None:
    CouponFactory.create(code="ONCE", user_limit=1)
    take(code="ONCE", user_id=filled.user_id, paid=True)
    assert reason(apply(filled, "ONCE")) == "user_limit_reached"


def test_what_an_unpaid_order_of_the_user_holds_does_not_count_since_a_new_order_replaces_it(
    filled: Any,
) -> None:
    CouponFactory.create(code="ONCE", user_limit=1, total_limit=1)
    apply(filled, "ONCE")
    take(code="ONCE", user_id=filled.user_id)
    assert applied(filled) == {"ONCE": None}
    assert filled.get(CART).json()["discount"] == usd(400)


def test_what_unpaid_orders_of_others_hold_counts_against_the_total_limit(
    filled: Any, api: Any, variant: Any
) -> None:
    CouponFactory.create(code="LAST", total_limit=1)
    apply(filled, "LAST")
    take(code="LAST")
    assert applied(filled) == {"LAST": "limit_reached"}


class TestMerge:
    def test_coupons_come_along_behind_those_of_the_user(self, guest: Any, filled: Any, variant: Any) -> None:
        for code in ("MINE", "BOTH", "GUESTS"):
            CouponFactory.create(code=code)
        token = {"X-Cart-Token": add(guest, variant, 1).headers["X-Cart-Token"]}
        apply(guest, "GUESTS", **token)
        apply(guest, "BOTH", **token)
        apply(filled, "BOTH")
        apply(filled, "MINE")
        response = filled.post(f"{CART}/merge", headers=token)
        assert [coupon["code"] for coupon in response.json()["coupons"]] == ["BOTH", "MINE", "GUESTS"]
        assert response.json()["version"] == 4

    def test_only_coupons_come_when_nothing_else_fits(self, guest: Any, filled: Any, variant: Any) -> None:
        CouponFactory.create(code="GUESTS")
        token = {"X-Cart-Token": add(guest, variant, 1).headers["X-Cart-Token"]}
        apply(guest, "GUESTS", **token)
        Stock.objects.update(available=0)
        response = filled.post(f"{CART}/merge", headers=token)
        assert [coupon["code"] for coupon in response.json()["coupons"]] == ["GUESTS"]
        assert response.json()["version"] == 2

    def test_what_the_user_may_not_use_or_does_not_go_together_stays_behind(
        self, guest: Any, filled: Any, variant: Any
    ) -> None:
        CouponFactory.create(code="MINE", stackable_with=["FINE"])
        CouponFactory.create(code="ONCE", user_limit=1)
        for code in ("OVER", "FINE", "STRANGER"):
            CouponFactory.create(code=code)
        token = {"X-Cart-Token": add(guest, variant, 1).headers["X-Cart-Token"]}
        for code in ("ONCE", "OVER", "STRANGER", "FINE"):
            assert apply(guest, code, **token).status_code == 200
        apply(filled, "MINE")
        take(code="ONCE", user_id=filled.user_id, paid=True)
        Coupon.objects.filter(code="OVER").update(stopped_at=timezone.now())
        response = filled.post(f"{CART}/merge", headers=token)
        assert [coupon["code"] for coupon in response.json()["coupons"]] == ["MINE", "FINE"]

    def test_coupons_beyond_the_limit_stay_behind(self, guest: Any, user: Any, variant: Any) -> None:
        mine = LineFactory.create(cart=CartFactory.create(user_id=user.user_id)).cart
        AppliedCouponFactory.create_batch(4, cart=mine)
        token = {"X-Cart-Token": add(guest, variant, 1).headers["X-Cart-Token"]}
        for _ in range(3):
            apply(guest, CouponFactory.create().code, **token)
        assert len(user.post(f"{CART}/merge", headers=token).json()["coupons"]) == 5


def test_showing_a_cart_with_coupons_takes_two_queries_however_many(
    user: Any, django_assert_num_queries: Any
) -> None:
    cart = CartFactory.create(user_id=user.user_id)
    LineFactory.create_batch(10, cart=cart)
    AppliedCouponFactory.create_batch(5, cart=cart)
    with django_assert_num_queries(2):
        assert len(user.get(CART).json()["coupons"]) == 5
