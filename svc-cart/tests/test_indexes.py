"""Every statement of the hot paths and of the sweepers finds its rows by an index, whatever the size of the tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cart import services
from cart.selectors import Owner, cart_snapshot, show_cart, wishlist
from shared_lib.models import uuid7
from tests.factories import AppliedCouponFactory, CouponFactory, LineFactory
from tests.uses import take, user_of

pytestmark = pytest.mark.django_db

_READS = re.compile(r"SELECT |UPDATE |DELETE ")


def scans(act: Callable[[], Any]) -> list[str]:
    """The tables that a statement of `act` reads as a whole, or by an index as a whole, as there is no better way."""
    with CaptureQueriesContext(connection) as sent:
        act()
    statements = [query["sql"] for query in sent if _READS.match(query["sql"].lstrip())]
    assert statements
    found = []
    with connection.cursor() as cursor:
        # Tables are small here: the planner is asked for what it would do if they were not.
        for way in ("seqscan", "hashjoin", "mergejoin"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
        for statement in statements:
            cursor.execute("EXPLAIN (FORMAT JSON) " + statement.replace("%", "%%"))
            (((plan,),),) = cursor.fetchall()
            found += [f"{table} in {statement}" for table in _read_whole(plan["Plan"])]
    return found


def _read_whole(node: dict[str, Any]) -> Iterator[str]:
    kind = node["Node Type"]
    if kind == "Seq Scan" or (kind.startswith(("Index", "Bitmap Index")) and "Index Cond" not in node):
        yield node.get("Relation Name") or node["Index Name"]
    for inner in node.get("Plans", ()):
        yield from _read_whole(inner)


@pytest.fixture
def user_id() -> Any:
    """A user with lines, coupons, a wish and an order that uses a coupon."""
    cart = LineFactory.create().cart
    AppliedCouponFactory.create(cart=cart, coupon=CouponFactory.create(code="WELCOME10", user_limit=5))
    services.add_wish(user_id=user_of(cart), variant_id=cart.lines.get().variant_id)
    take(code="WELCOME10", user_id=cart.user_id)
    return cart.user_id


def test_a_cart_of_a_user_or_a_guest(user_id: Any) -> None:
    assert scans(lambda: show_cart(owner=Owner.user(user_id))) == []
    assert scans(lambda: show_cart(owner=Owner.guest("token"))) == []
    assert scans(lambda: cart_snapshot(user_id=user_id)) == []
    assert scans(lambda: list(wishlist(user_id=user_id)[:20])) == []


def test_changing_a_cart(user_id: Any) -> None:
    owner = Owner.user(user_id)
    line = show_cart(owner=owner).lines[0]
    assert scans(lambda: services.add_line(owner=owner, variant_id=line.variant_id, quantity=1)) == []
    assert scans(lambda: services.change_line(owner=owner, line_id=line.id, quantity=3)) == []
    assert scans(lambda: services.remove_coupon(owner=owner, code="WELCOME10")) == []
    assert scans(lambda: services.apply_coupon(owner=owner, code="WELCOME10")) == []
    assert scans(lambda: services.remove_line(owner=owner, line_id=line.id)) == []


def test_merging_into_a_cart(user_id: Any) -> None:
    token = services.add_line(
        owner=Owner(), variant_id=show_cart(owner=Owner.user(user_id)).lines[0].variant_id, quantity=1
    )
    hashed = Owner.guest(token or "").token_hash or b""
    assert scans(lambda: services.merge_carts(user_id=user_id, token_hash=hashed)) == []


def test_uses_of_coupons(user_id: Any) -> None:
    order_id = uuid7()
    assert scans(lambda: services.use_coupon(order_id=order_id, user_id=user_id, code="WELCOME10")) == []
    assert scans(lambda: services.give_uses_back(order_id=order_id)) == []


def test_events(user_id: Any) -> None:
    cart = show_cart(owner=Owner.user(user_id))
    ordered = {cart.lines[0].variant_id: 1}
    order = {"order_id": uuid7(), "cart_id": cart.id, "user_id": user_id, "quantities": ordered}
    assert scans(lambda: services.subtract_ordered(**order, codes=["WELCOME10"])) == []
    assert scans(lambda: services.erase_user(user_id=user_id)) == []


def test_sweepers(user_id: Any) -> None:
    past = timezone.now() - timedelta(days=1)
    assert scans(lambda: services.expire_guest_carts(unchanged_since=past)) == []
    assert scans(lambda: services.forget_closed_orders(closed_before=past)) == []
    assert (
        scans(lambda: services.publish_abandoned_carts(unchanged_since=timezone.now(), not_before=past)) == []
    )


def test_a_missing_index_would_be_found(user_id: Any) -> None:
    past = timezone.now() - timedelta(days=1)
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX couponorder_closed_at")
    found = scans(lambda: services.forget_closed_orders(closed_before=past))
    assert any(scan.startswith("cart_couponorder in") for scan in found)
