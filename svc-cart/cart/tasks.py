"""Celery entries."""

from __future__ import annotations

from datetime import timedelta

import structlog
from celery import shared_task
from django.conf import settings
from django.utils import timezone

from cart import services
from shared_lib.exceptions import ServiceUnavailable

log = structlog.get_logger(__name__)

_NEWS_FOR = timedelta(days=7)
_TOMBSTONES_KEPT_FOR = timedelta(days=90)


@shared_task
def expire_guest_carts() -> int:
    """Removes the guest carts that nobody changed for CART_GUEST_DAYS days."""
    unchanged_since = timezone.now() - timedelta(days=settings.CART_GUEST_DAYS)
    total = 0
    while removed := services.expire_guest_carts(unchanged_since=unchanged_since):
        total += removed
    return total


@shared_task
def refresh_coupon_categories() -> int:
    """Learns which categories lie below those of coupons. Without svc-catalog what is known stays."""
    try:
        return services.refresh_coupon_categories()
    except ServiceUnavailable as error:
        log.warning("coupon_categories_not_refreshed", reason=str(error))
        return 0


@shared_task
def forget_closed_orders() -> int:
    """Removes the tombstones of coupon uses that are so old that no request for the order can still be on its way."""
    closed_before = timezone.now() - _TOMBSTONES_KEPT_FOR
    total = 0
    while removed := services.forget_closed_orders(closed_before=closed_before):
        total += removed
    return total


@shared_task
def publish_abandoned_carts() -> int:
    """Tells of the users' carts that nobody changed for CART_ABANDONED_HOURS hours, once each.

    Those that were left a week earlier, before this task came to see them, are not told of.
    """
    unchanged_since = timezone.now() - timedelta(hours=settings.CART_ABANDONED_HOURS)
    not_before = unchanged_since - _NEWS_FOR
    total = 0
    while seen := services.publish_abandoned_carts(unchanged_since=unchanged_since, not_before=not_before):
        total += seen
    return total
