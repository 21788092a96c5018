"""Celery entries."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from cart import services


@shared_task
def expire_guest_carts() -> int:
    """Removes the guest carts that nobody changed for CART_GUEST_DAYS days."""
    unchanged_since = timezone.now() - timedelta(days=settings.CART_GUEST_DAYS)
    total = 0
    while removed := services.expire_guest_carts(unchanged_since=unchanged_since):
        total += removed
    return total
