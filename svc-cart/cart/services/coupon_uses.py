"""The uses of coupons by orders.

Locks are taken in one order: the order's row, then those of the coupons by id. A coupon's row is held while its uses are
counted and changed, so that `used` is their number and no limit can be passed, however many ask at once. An order that has
given its uses back stays closed: a request that comes late takes nothing.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from cart.discounts import Reason
from cart.exceptions import CouponUseClosed, CouponUseRefused
from cart.models import Coupon, CouponOrder, CouponUse
from cart.selectors import code_of, not_usable
from shared_lib.failpoints import around, failpoint


@around("coupons.use")
@transaction.atomic
def use_coupon(*, order_id: UUID, user_id: UUID, code: str) -> tuple[str, bool]:
    """Takes one use of a coupon for an order. Returns the coupon's code and whether the use is new.

    The same order and code again take nothing more. Raises `CouponUseRefused` and `CouponUseClosed`.
    """
    CouponOrder.objects.bulk_create([CouponOrder(order_id=order_id)], ignore_conflicts=True)
    order = CouponOrder.objects.select_for_update(no_key=True).get(pk=order_id)
    if order.closed_at is not None:
        raise CouponUseClosed
    wanted = code_of(code)
    coupon = Coupon.objects.select_for_update(no_key=True).filter(code=wanted).first()
    if coupon is None:
        raise CouponUseRefused(Reason.UNKNOWN)
    if order.uses.filter(coupon=coupon).exists():
        return coupon.code, False
    taken = set(coupon.uses.filter(user_id=user_id).values_list("number", flat=True))
    reason = not_usable(coupon, now=timezone.now(), used=coupon.used, used_by_user=len(taken))
    if reason is not None:
        raise CouponUseRefused(reason)
    number = next(number for number in range(1, len(taken) + 2) if number not in taken)
    CouponUse.objects.create(order=order, coupon=coupon, user_id=user_id, number=number)
    Coupon.objects.filter(pk=coupon.pk).update(used=F("used") + 1)
    failpoint("coupons.use.inside")
    return coupon.code, True


@around("coupons.give_back")
@transaction.atomic(savepoint=False)
def give_uses_back(*, order_id: UUID) -> None:
    """Gives back every use of an order, and closes it for good: it can take none any more. Again: nothing changes."""
    CouponOrder.objects.bulk_create(
        [CouponOrder(order_id=order_id, closed_at=timezone.now())], ignore_conflicts=True
    )
    order = CouponOrder.objects.select_for_update(no_key=True).get(pk=order_id)
    if order.closed_at is None:
        order.closed_at = timezone.now()
        order.save(update_fields=["closed_at"])
    coupons = (
        Coupon.objects.filter(uses__order=order).order_by("pk").select_for_update(no_key=True, of=("self",))
    )
    for coupon in list(coupons):
        given, _ = order.uses.filter(coupon=coupon).delete()
        Coupon.objects.filter(pk=coupon.pk).update(used=F("used") - given)
    failpoint("coupons.give_back.inside")


def mark_uses_paid(*, order_id: UUID) -> None:
    """The order is confirmed: its uses count against the user from now on, whatever else the user orders."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE cart_couponuse SET paid = true WHERE order_id = %s AND NOT paid", [order_id])


def forget_closed_orders(*, closed_before: datetime, limit: int = 500) -> int:
    """Removes up to `limit` rows of orders that gave their uses back before then; says how many."""
    closed = CouponOrder.objects.filter(closed_at__lt=closed_before).order_by("closed_at")
    keys = list(closed.values_list("pk", flat=True)[:limit])
    removed, _ = CouponOrder.objects.filter(pk__in=keys, closed_at__lt=closed_before).delete()
    return removed
