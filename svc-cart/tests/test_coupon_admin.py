"""/cart/admin/coupons: how staff makes, changes and stops coupons."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import httpx
import pytest
from django.core.management import call_command
from django.utils import timezone

from cart import tasks
from cart.models import Coupon
from shared_lib.models import uuid7
from tests.factories import CouponFactory
from tests.uses import take

pytestmark = pytest.mark.django_db

ADMIN = "/api/v1/cart/admin/coupons"
CATEGORIES = "/api/v1/catalog/categories"
TREE = [
    {"slug": "home", "children": [{"slug": "lighting", "children": [{"slug": "lamps", "children": []}]}]},
    {"slug": "garden", "children": []},
]


@pytest.fixture
def staff(api: Any) -> Any:
    return api.as_user(roles=("staff",))


@pytest.fixture
def categories(upstream: Any) -> Any:
    upstream("svc-catalog", "GET", CATEGORIES, lambda _: (200, {"results": TREE}))
    return upstream


def make(staff: Any, **values: Any) -> Any:
    headers = values.pop("headers", {})
    return staff.post(
        ADMIN, {"code": "spring", "kind": "percent", "basis_points": 1500, **values}, headers=headers
    )


def errors(response: Any) -> list[tuple[str, str]]:
    assert response.status_code == 422, response.json()
    return [(error["field"], error["code"]) for error in response.json()["errors"]]


def test_a_coupon_is_made_and_shown(staff: Any) -> None:
    response = make(
        staff,
        description="Spring sale",
        minimum={"amount": 5000, "currency": "USD"},
        ends_at="2027-03-01T00:00:00Z",
        stackable_with=["welcome10"],
        user_limit=1,
        total_limit=100,
    )
    assert response.status_code == 201
    body = response.json()
    coupon = Coupon.objects.get()
    assert body["created_at"].endswith("Z")
    assert {name: value for name, value in body.items() if name != "created_at"} == {
        "id": str(coupon.pk),
        "version": 1,
        "code": "SPRING",
        "description": "Spring sale",
        "kind": "percent",
        "basis_points": 1500,
        "amount": None,
        "minimum": {"amount": 5000, "currency": "USD"},
        "categories": [],
        "starts_at": None,
        "ends_at": "2027-03-01T00:00:00Z",
        "exclusive": False,
        "stackable_with": ["WELCOME10"],
        "user_limit": 1,
        "total_limit": 100,
        "used": 0,
        "stopped_at": None,
    }
    shown = staff.get(f"{ADMIN}/{coupon.pk}")
    assert shown.json() == response.json()
    assert shown.headers["ETag"] == response.headers["ETag"]


def test_each_kind_needs_its_own_value(staff: Any) -> None:
    five = {"amount": 500, "currency": "USD"}
    assert make(staff, code="FIVE", kind="fixed", basis_points=None, amount=five).json()["amount"] == five
    assert make(staff, code="SHIP", kind="free_shipping", basis_points=None).status_code == 201
    for values, field in (
        ({"basis_points": None}, "basis_points"),
        ({"amount": five}, "amount"),
        ({"kind": "fixed"}, "basis_points"),
        ({"kind": "fixed", "basis_points": None}, "amount"),
        ({"kind": "free_shipping"}, "basis_points"),
    ):
        assert errors(make(staff, **values)) == [(field, "invalid_kind")]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"code": "a b"}, "code"),
        ({"code": "no"}, "code"),
        ({"code": "x" * 41}, "code"),
        ({"code": "LINE\nBREAK"}, "code"),
        ({"kind": "free"}, "kind"),
        ({"basis_points": 10_001}, "basis_points"),
        ({"amount": {"amount": 0, "currency": "USD"}}, "amount"),
        ({"minimum": {"amount": -1, "currency": "USD"}}, "minimum"),
        ({"minimum": {"amount": 100, "currency": "EUR"}}, "minimum"),
        ({"minimum": 100}, "minimum"),
        ({"starts_at": "soon"}, "starts_at"),
        ({"starts_at": "2027-01-02T00:00:00Z", "ends_at": "2027-01-02T00:00:00Z"}, "ends_at"),
        ({"exclusive": True, "stackable_with": ["OTHER"]}, "stackable_with"),
        ({"user_limit": 0}, "user_limit"),
        ({"total_limit": 2**31}, "total_limit"),
        ({"categories": "lamps"}, "categories"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(staff: Any, values: dict[str, Any], field: str) -> None:
    assert [name.partition(".")[0] for name, _ in errors(make(staff, **values))] == [field]
    assert not Coupon.objects.exists()


def test_a_code_is_given_once_whatever_its_case(staff: Any) -> None:
    make(staff, code="Spring")
    again = make(staff, code="SPRING")
    assert (again.status_code, again.json()["code"]) == (409, "coupon_code_taken")


def test_a_repeated_request_with_the_same_key_makes_one_coupon(staff: Any) -> None:
    first = make(staff, headers={"Idempotency-Key": "k"})
    again = make(staff, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.json()) == (201, first.json())
    assert Coupon.objects.count() == 1


class TestCategories:
    def test_a_category_stands_for_all_below_it(self, staff: Any, categories: Any) -> None:
        response = make(staff, categories=["home"])
        assert response.json()["categories"] == ["home"]
        assert Coupon.objects.get().category_slugs == ["home", "lamps", "lighting"]

    def test_one_that_the_catalog_does_not_know_is_refused(self, staff: Any, categories: Any) -> None:
        assert errors(make(staff, categories=["garden", "moon"])) == [("categories", "unknown_category")]

    def test_only_coupons_for_categories_need_the_catalog(self, staff: Any, upstream: Any) -> None:
        def gone(request: httpx.Request) -> None:
            raise httpx.ConnectError("refused", request=request)

        upstream("svc-catalog", "GET", CATEGORIES, gone)
        response = make(staff, categories=["home"])
        assert (response.status_code, response.json()["code"]) == (503, "service_unavailable")
        assert make(staff).status_code == 201

    def test_a_category_that_is_new_in_the_tree_is_found_by_the_task(self, categories: Any) -> None:
        stale = CouponFactory.create(categories=["home"])
        stopped = CouponFactory.create(categories=["home"], stopped_at=timezone.now())
        over = CouponFactory.create(categories=["home"], ends_at=timezone.now() - timedelta(days=1))
        gone = CouponFactory.create(categories=["attic"])
        CouponFactory.create()
        assert tasks.refresh_coupon_categories() == 1
        assert tasks.refresh_coupon_categories() == 0
        for coupon in (stale, stopped, over, gone):
            coupon.refresh_from_db()
        assert stale.category_slugs == ["home", "lamps", "lighting"]
        assert (stopped.category_slugs, over.category_slugs) == (["home"], ["home"])
        assert gone.category_slugs == ["attic"]

    def test_without_such_coupons_the_task_asks_nobody(self, upstream: Any) -> None:
        CouponFactory.create()
        assert tasks.refresh_coupon_categories() == 0
        assert upstream.calls == []


class TestChanges:
    def test_everything_but_code_and_kind_can_be_changed(self, staff: Any, categories: Any) -> None:
        path = f"{ADMIN}/{make(staff, minimum={'amount': 100, 'currency': 'USD'}, user_limit=1).json()['id']}"
        response = staff.patch(
            path,
            {
                "code": "OTHER",
                "kind": "fixed",
                "basis_points": 2000,
                "minimum": None,
                "user_limit": None,
                "categories": ["lighting"],
                "exclusive": True,
            },
        )
        body = response.json()
        assert (body["code"], body["kind"], body["version"]) == ("SPRING", "percent", 2)
        assert (body["basis_points"], body["minimum"], body["user_limit"]) == (2000, None, None)
        assert (body["categories"], body["exclusive"]) == (["lighting"], True)
        assert Coupon.objects.get().category_slugs == ["lamps", "lighting"]

    def test_rules_hold_for_the_coupon_as_a_whole(self, staff: Any) -> None:
        path = f"{ADMIN}/{make(staff, starts_at='2027-01-02T00:00:00Z').json()['id']}"
        assert errors(staff.patch(path, {"ends_at": "2027-01-01T00:00:00Z"})) == [("ends_at", "min_value")]
        assert errors(staff.patch(path, {"basis_points": None})) == [("basis_points", "invalid_kind")]
        assert Coupon.objects.get().version == 1

    def test_a_limit_cannot_fall_below_what_is_used(self, staff: Any) -> None:
        path = f"{ADMIN}/{make(staff).json()['id']}"
        for _ in range(2):
            take(code="SPRING")
        assert errors(staff.patch(path, {"total_limit": 1})) == [("total_limit", "min_value")]
        assert staff.patch(path, {"total_limit": 2}).json()["used"] == 2

    def test_uses_do_not_get_in_the_way_of_who_edits(self, staff: Any) -> None:
        made = make(staff)
        take(code="SPRING")
        changed = staff.patch(
            f"{ADMIN}/{made.json()['id']}", {"user_limit": 3}, headers={"If-Match": made.headers["ETag"]}
        )
        assert (changed.status_code, changed.json()["used"]) == (200, 1)

    def test_a_lost_update_is_refused(self, staff: Any) -> None:
        made = make(staff)
        path, tag = f"{ADMIN}/{made.json()['id']}", {"If-Match": made.headers["ETag"]}
        assert staff.patch(path, {"user_limit": 3}, headers=tag).status_code == 200
        assert staff.patch(path, {"user_limit": 4}, headers=tag).status_code == 412
        assert staff.post(f"{path}/stop", headers=tag).status_code == 412
        assert Coupon.objects.get().user_limit == 3

    def test_a_stopped_coupon_stays_stopped(self, staff: Any) -> None:
        path = f"{ADMIN}/{make(staff).json()['id']}"
        first = staff.post(f"{path}/stop")
        assert first.status_code == 200
        assert first.json()["stopped_at"].endswith("Z")
        assert staff.post(f"{path}/stop").json() == first.json()
        assert staff.patch(path, {"user_limit": 3}).json()["stopped_at"] == first.json()["stopped_at"]


def test_the_list_is_newest_first_in_numbered_pages_with_filters(staff: Any) -> None:
    now = timezone.now()
    for code, values in {
        "WINTER-1": {"stopped_at": now},
        "WINTER-2": {"ends_at": now - timedelta(days=1)},
        "SUMMER": {"starts_at": now + timedelta(days=1)},
        "ALWAYS": {},
    }.items():
        CouponFactory.create(code=code, **values)

    def codes(**query: Any) -> list[str]:
        return [coupon["code"] for coupon in staff.get(ADMIN, query).json()["results"]]

    assert codes() == ["ALWAYS", "SUMMER", "WINTER-2", "WINTER-1"]
    assert codes(active="true") == ["ALWAYS", "SUMMER"]
    assert codes(active="false") == ["WINTER-2", "WINTER-1"]
    assert codes(code="winter", active="false", page_size=1, page=2) == ["WINTER-1"]
    page = staff.get(ADMIN, {"page_size": 3}).json()
    assert (page["count"], page["previous"]) == (4, None)
    assert page["next"].endswith("page=2&page_size=3")
    assert errors(staff.get(ADMIN, {"active": "maybe"})) == [("active", "invalid")]
    assert staff.get(ADMIN, {"code": "%"}).status_code == 422
    assert staff.get(ADMIN, {"page": 9}).status_code == 404


def test_only_staff_and_admins_come_in(api: Any, guest: Any) -> None:
    coupon = CouponFactory.create()
    calls = [
        ("get", ADMIN, 200),
        ("post", ADMIN, 422),
        ("get", f"{ADMIN}/{coupon.pk}", 200),
        ("patch", f"{ADMIN}/{coupon.pk}", 200),
        ("post", f"{ADMIN}/{coupon.pk}/stop", 200),
    ]
    for method, path, expected in calls:
        assert getattr(api.as_user(), method)(path).status_code == 403
        assert getattr(api.as_user(roles=("seller",)), method)(path).status_code == 403
        assert getattr(guest, method)(path).status_code == 401
        assert getattr(api.as_user(roles=("admin",)), method)(path).status_code == expected


def test_a_coupon_that_there_is_not(staff: Any) -> None:
    path = f"{ADMIN}/{uuid7()}"
    for response in (staff.get(path), staff.patch(path, {}), staff.post(f"{path}/stop")):
        assert (response.status_code, response.json()["code"]) == (404, "coupon_not_found")


def test_the_seed_makes_the_demo_coupon_once() -> None:
    def seed() -> str:
        out = StringIO()
        call_command("seed_coupons", stdout=out)
        return out.getvalue()

    assert seed() == "WELCOME10 was made.\n"
    Coupon.objects.update(basis_points=1)
    assert seed() == "WELCOME10 is there already.\n"
    assert Coupon.objects.get().basis_points == 1
