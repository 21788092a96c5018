"""A process that dies at a failpoint, and the time that passes after it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from orders.models import CheckoutSaga, Order, Refund
from shared_lib.failpoints import Hit
from shared_lib.testing.failpoints import armed


def die_at(point: str, act: Callable[[], Any]) -> None:
    """`act` runs until its process dies at `point`; it must come there."""
    with armed(point), pytest.raises(Hit):
        act()


def let_lease_run_out() -> None:
    CheckoutSaga.objects.update(leased_until=timezone.now() - timedelta(seconds=1))


def let_time_pass() -> None:
    """Whatever sweepers wait for is due."""
    past = timezone.now() - timedelta(seconds=1)
    unfinished = CheckoutSaga.objects.filter(step__in=["started", "reserving", "undoing"])
    unfinished.update(leased_until=past, deadline=past)
    Order.objects.filter(close_at__isnull=False).exclude(close_reason="").update(close_at=past)
    Refund.objects.filter(due_at__isnull=False).update(due_at=past)
