"""What Prometheus sees of orders: what is under way, by state. Read when the web process is asked, by partial indexes alone.

How many orders reach which state is counted by their events (`shop_outbox_published_total`).
"""

from __future__ import annotations

import math
from datetime import datetime

from django.db import DatabaseError
from django.db.models import Count, Min, QuerySet
from django.utils import timezone
from prometheus_client import Gauge
from psycopg_pool import PoolTimeout

from orders.models import UNFINISHED_STEPS, CheckoutSaga, Order, OrderStatus, PaymentStatus

CHECKOUTS = Gauge("shop_checkouts", "Checkouts under way, by step", ["step"], multiprocess_mode="mostrecent")
OLDEST_CHECKOUT = Gauge(
    "shop_checkouts_oldest_seconds", "Age of the oldest of them", ["step"], multiprocess_mode="mostrecent"
)
UNPAID = Gauge("shop_orders_unpaid", "Orders that wait for their money", multiprocess_mode="mostrecent")
OVERDUE = Gauge(
    "shop_orders_overdue_seconds",
    "How long the longest of them should have been closed",
    multiprocess_mode="mostrecent",
)


def measure() -> None:
    """Sets the gauges; to NaN where the database cannot be asked."""
    now = timezone.now()
    try:
        rows = CheckoutSaga.objects.filter(step__in=UNFINISHED_STEPS).values("step")
        found = {row["step"]: row for row in rows.annotate(count=Count("*"), first=Min("created_at"))}
        for step in UNFINISHED_STEPS:
            row = found.get(step)
            CHECKOUTS.labels(step).set(row["count"] if row else 0)
            OLDEST_CHECKOUT.labels(step).set((now - row["first"]).total_seconds() if row else 0.0)
        _measure_unpaid(now)
    except (DatabaseError, PoolTimeout):
        for step in UNFINISHED_STEPS:
            CHECKOUTS.labels(step).set(math.nan)
            OLDEST_CHECKOUT.labels(step).set(math.nan)
        UNPAID.set(math.nan)
        OVERDUE.set(math.nan)


def _measure_unpaid(now: datetime) -> None:
    unpaid: QuerySet[Order] = Order.objects.filter(
        status=OrderStatus.AWAITING_PAYMENT, payment_status=PaymentStatus.UNPAID
    )
    found = unpaid.aggregate(count=Count("*"), first=Min("close_at"))
    UNPAID.set(found["count"])
    OVERDUE.set(max((now - found["first"]).total_seconds(), 0.0) if found["first"] else 0.0)
