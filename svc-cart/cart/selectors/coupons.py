"""Reading coupons: for the user who wants to use them, and for staff."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Count, IntegerField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from cart.discounts import Part, Reason, Rule
from cart.exceptions import CouponNotFound
from cart.models import Coupon, CouponUse

_CODE = re.compile(r"[A-Z0-9_-]{3,40}")


def code_of(text: str) -> str | None:
    """The code that somebody wrote, in capitals; None for what no coupon can be called."""
    code = text.strip().upper()
    return code if _CODE.fullmatch(code) else None


def coupon_for(*, code: str, user_id: UUID | None) -> Coupon | None:
    """The coupon of that name, ready for `rule_of`."""
    return _with_uses_of(user_id, Coupon.objects.filter(code=code)).first()


def coupons_in_carts(*, cart_ids: Sequence[UUID], user_id: UUID | None) -> list[Coupon]:
    """The coupons in these carts in the order of their coming, ready for `rule_of`. One query."""
    coupons = Coupon.objects.filter(appliedcoupon__cart__in=cart_ids)
    return list(_with_uses_of(user_id, coupons).order_by("appliedcoupon__id"))


def rule_of(coupon: Coupon, *, now: datetime | None = None) -> Rule:
    """The coupon as a rule for the user it was read for, at this moment."""
    return Rule(
        code=coupon.code,
        kind=coupon.kind,
        basis_points=coupon.basis_points,
        fixed=coupon.fixed_amount,
        minimum=coupon.minimum_amount,
        categories=frozenset(coupon.category_slugs) if coupon.categories else None,
        exclusive=coupon.exclusive,
        stackable_with=frozenset(coupon.stackable_with),
        barred=not_usable(
            coupon,
            now=now or timezone.now(),
            used=coupon.used - coupon.held_by_user,  # type: ignore[attr-defined]
            used_by_user=coupon.paid_by_user,  # type: ignore[attr-defined]
        ),
    )


def not_usable(coupon: Coupon, *, now: datetime, used: int, used_by_user: int) -> Reason | None:
    """Why one more use is not allowed, when there are `used` in all and `used_by_user` of this user."""
    if coupon.stopped_at is not None:
        return Reason.STOPPED
    if coupon.starts_at is not None and now < coupon.starts_at:
        return Reason.NOT_STARTED
    if coupon.ends_at is not None and now >= coupon.ends_at:
        return Reason.EXPIRED
    if coupon.total_limit is not None and used >= coupon.total_limit:
        return Reason.LIMIT_REACHED
    if coupon.user_limit is not None and used_by_user >= coupon.user_limit:
        return Reason.USER_LIMIT_REACHED
    return None


def cart_parts(*, cart_id: UUID) -> list[Part]:
    """What the lines of a cart cost at the prices of the read model."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.category, v.price_amount * l.quantity FROM cart_cartline l"
            " JOIN cart_variant v ON v.id = l.variant_id JOIN cart_product p ON p.id = v.product_id"
            " WHERE l.cart_id = %s ORDER BY l.id",
            [cart_id],
        )
        return [Part(category, total) for category, total in cursor.fetchall()]


def all_coupons(*, code: str = "", active: bool | None = None) -> QuerySet[Coupon]:
    """For staff, newest first. `code` is any part of it; `active`: neither stopped nor over (it may not have started)."""
    coupons = Coupon.objects.order_by("-created_at", "-id")
    if code:
        coupons = coupons.filter(code__contains=code.upper())
    if active is not None:
        over = Q(stopped_at__isnull=False) | Q(ends_at__lte=timezone.now())
        coupons = coupons.exclude(over) if active else coupons.filter(over)
    return coupons


def find_coupon(*, coupon_id: UUID) -> Coupon:
    """For staff. Raises `CouponNotFound`."""
    coupon = Coupon.objects.filter(pk=coupon_id).first()
    if coupon is None:
        raise CouponNotFound
    return coupon


def _with_uses_of(user_id: UUID | None, coupons: QuerySet[Coupon]) -> QuerySet[Coupon]:
    """Adds `paid_by_user` and `held_by_user`, the uses by confirmed orders of that user and by unpaid ones.

    What an unpaid order holds does not count against the user who is about to order again: that order is replaced then.
    """
    if user_id is None:
        return coupons.annotate(paid_by_user=Value(0), held_by_user=Value(0))

    def count(**which: bool) -> Coalesce:
        uses = CouponUse.objects.filter(coupon=OuterRef("pk"), user_id=user_id, **which)
        rows = uses.order_by().values("coupon").annotate(rows=Count("pk")).values("rows")
        return Coalesce(Subquery(rows, output_field=IntegerField()), 0)

    return coupons.annotate(paid_by_user=count(paid=True), held_by_user=count(paid=False))
