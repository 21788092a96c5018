"""Goods that come back, and money."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Prefetch, QuerySet

from orders.models import Order, Refund, RefundLine, Return, ReturnLine
from orders.selectors.orders import time_of
from orders.totals import money_document
from shared_lib.auth.users import TokenUser
from shared_lib.exceptions import NotFound

WHOLE_RETURNS = Return.objects.select_related("refund", "order").prefetch_related(
    Prefetch("lines", ReturnLine.objects.select_related("line").order_by("line__position"))
)
WHOLE_REFUNDS = Refund.objects.prefetch_related(
    Prefetch("lines", RefundLine.objects.select_related("line").order_by("line__position"))
)


def returns_of(order_id: UUID, *, user: TokenUser) -> QuerySet[Return]:
    """The returns of an order of the user's own, of any order for staff, newest first. Raises `NotFound`."""
    orders = Order.objects.placed() if user.is_staff else Order.objects.placed().of(user.id)
    if not orders.filter(pk=order_id).exists():
        raise NotFound("There is no such order.")
    return WHOLE_RETURNS.filter(order_id=order_id).order_by("-created_at", "-id")


def get_return(return_id: UUID) -> Return:
    """For staff. Raises `NotFound`."""
    found = WHOLE_RETURNS.filter(pk=return_id).first()
    if found is None:
        raise NotFound("There is no such return.")
    return found


def return_document(found: Return) -> dict[str, Any]:
    refund = found.refund
    return {
        "id": found.id,
        "order_id": found.order_id,
        "status": found.status,
        "reason": found.reason,
        "lines": [
            {"variant_id": row.line.variant_id, "name": row.line.name, "quantity": row.quantity}
            for row in found.lines.all()
        ],
        "refund": None
        if refund is None
        else {
            "id": refund.id,
            "status": refund.status,
            "amount": money_document(refund.amount, refund.currency),
        },
        "created_at": time_of(found.created_at),
        "approved_at": time_of(found.approved_at),
        "received_at": time_of(found.received_at),
        "rejected_at": time_of(found.rejected_at),
        "rejection_reason": found.rejection_reason or None,
    }


def refund_document(refund: Refund) -> dict[str, Any]:
    """`error` says what went wrong with a refund that failed, or with the last try of one that is under way."""
    return {
        "id": refund.id,
        "order_id": refund.order_id,
        "status": refund.status,
        "amount": money_document(refund.amount, refund.currency),
        "lines": [
            {
                "variant_id": row.line.variant_id,
                "quantity": row.quantity,
                "amount": money_document(row.amount, refund.currency),
            }
            for row in refund.lines.all()
        ],
        "reason": refund.reason,
        "remark": refund.note or None,
        "requested_by": refund.requested_by,
        "error": refund.error or None,
        "created_at": time_of(refund.created_at),
    }
