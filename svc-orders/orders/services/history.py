"""What happened to an order: who, when, why."""

from __future__ import annotations

from uuid import UUID

from django.utils import timezone

from orders.models import Order, OrderHistory


def note(order: Order, *, reason: str = "", who: UUID | None = None) -> OrderHistory:
    """One row of history: the status that the order has come to, or something else that happened in it (`reason`)."""
    return OrderHistory.objects.create(
        order=order, status=order.status, at=timezone.now(), reason=reason, who=who
    )
