"""Goods that come back: the buyer asks, staff approves, the warehouse receives, and the money goes back by itself.

Or staff rejects, and says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Sum
from django.utils import timezone

from orders.exceptions import LinesNotReturnable, OrderNotReturnable
from orders.models import (
    FulfillmentStatus,
    HistoryRemark,
    Order,
    OrderLine,
    OrderStatus,
    Return,
    ReturnLine,
    ReturnStatus,
    Shipment,
)
from orders.services import refunds
from orders.services.history import note
from orders.services.locks import lock_order
from orders.services.picking import pick
from orders.services.refunding import amounts_of, make_refund, payment_with_money
from orders.services.transitions import line_message
from shared_lib.contracts.events import OrderReturnReceived, OrderReturnRejected
from shared_lib.events import publish
from shared_lib.exceptions import NotFound
from shared_lib.failpoints import around


@around("return.request")
@transaction.atomic
def request_return(*, order_id: UUID, user_id: UUID, lines: Mapping[UUID, int], reason: str) -> Return:
    """The buyer wants to send `lines` (variant and quantity) back.

    Raises `NotFound`, `OrderNotReturnable`, `LinesNotReturnable`.
    """
    order = lock_order(order_id, user_id=user_id)
    _check_time(order)
    own = list(OrderLine.objects.filter(order=order).order_by("position"))
    gone = dict(
        ReturnLine.objects.filter(line__order=order)
        .exclude(part_of__status=ReturnStatus.REJECTED)
        .values("line")
        .annotate(all=Sum("quantity"))
        .values_list("line", "all")
    )
    left = {line.id: line.quantity - gone.get(line.id, 0) for line in own}
    picked = pick(own, lines, left, LinesNotReturnable)
    made = Return.objects.create(order=order, reason=reason)
    ReturnLine.objects.bulk_create(
        [ReturnLine(part_of=made, line=line, quantity=quantity) for line, quantity in picked.items()]
    )
    _tell(order, HistoryRemark.RETURN_REQUESTED, user_id)
    return made


@around("return.approve")
@transaction.atomic
def approve_return(*, return_id: UUID, who: UUID) -> Return:
    """The buyer may send it. Raises `NotFound`, `ReturnNotApprovable`."""
    order, found = _lock(return_id)
    found.go("approve")
    found.approved_at = timezone.now()
    found.save()
    _tell(order, HistoryRemark.RETURN_APPROVED, who)
    return found


@around("return.reject")
@transaction.atomic
def reject_return(*, return_id: UUID, who: UUID, reason: str) -> Return:
    """The buyer is to keep it; `reason` is what the buyer reads. Raises `NotFound`, `ReturnNotRejectable`."""
    order, found = _lock(return_id)
    found.go("reject")
    found.rejected_at = timezone.now()
    found.rejection_reason = reason
    found.save()
    _tell(order, HistoryRemark.RETURN_REJECTED, who)
    message = OrderReturnRejected(
        version=order.version,
        order_id=order.id,
        number=order.number or "",
        user_id=order.user_id,
        return_id=found.id,
    )
    publish(message, subject=order.id)
    return found


@around("return.receive")
@transaction.atomic
def receive_return(*, return_id: UUID, who: UUID, restock: bool) -> Return:
    """It has arrived: what it cost goes back. `restock`: it may be sold again. Raises `NotFound`, `ReturnNotReceivable`."""
    order, found = _lock(return_id)
    found.go("receive")
    found.received_at = timezone.now()
    lines = list(found.lines.select_related("line").order_by("line__position"))
    _pay_back(order, found, {row.line.variant_id: row.quantity for row in lines}, who)
    found.save()
    if _all_is_back(order, found):
        order.fulfillment_status = FulfillmentStatus.RETURNED
    _tell(order, HistoryRemark.RETURN_RECEIVED, who)
    message = OrderReturnReceived(
        version=order.version,
        order_id=order.id,
        number=order.number or "",
        user_id=order.user_id,
        return_id=found.id,
        lines=[line_message(row.line, order.currency, row.quantity) for row in lines] if restock else [],
    )
    publish(message, subject=order.id)
    return found


def _check_time(order: Order) -> None:
    if order.status not in (OrderStatus.SHIPPED, OrderStatus.DELIVERED):
        raise OrderNotReturnable(f"The order is {order.status}.")
    arrived = Shipment.objects.filter(order=order).aggregate(last=Max("delivered_at"))["last"]
    days = settings.ORDER_RETURN_DAYS
    if arrived is not None and arrived + timedelta(days=days) < timezone.now():
        raise OrderNotReturnable(f"It could be sent back within {days} days.")


def _lock(return_id: UUID) -> tuple[Order, Return]:
    order_id = Return.objects.filter(pk=return_id).values_list("order_id", flat=True).first()
    if order_id is None:
        raise NotFound("There is no such return.")
    return lock_order(order_id), Return.objects.get(pk=return_id)


def _pay_back(order: Order, found: Return, wanted: Mapping[UUID, int], who: UUID) -> None:
    """What the lines cost, as far as it has not been paid back already, by line or as an amount."""
    payment = payment_with_money(order)
    if payment is None:
        return
    left = {line.variant_id: quantity for line, quantity in _unrefunded(order).items()}
    wanted = {variant: min(quantity, left[variant]) for variant, quantity in wanted.items() if left[variant]}
    parts = amounts_of(order, wanted)
    amount = min(sum(part for _, part in parts.values()), refunds.rest_of(payment))
    if amount > 0:
        found.refund = make_refund(order, payment, amount, parts, reason="returned", who=who)


def _unrefunded(order: Order) -> dict[OrderLine, int]:
    lines = OrderLine.objects.filter(order=order)
    gone = refunds.quantities_of(order)
    return {line: line.quantity - gone.get(line.id, 0) for line in lines}


def _all_is_back(order: Order, found: Return) -> bool:
    received = ReturnLine.objects.filter(part_of__order=order, part_of__status=ReturnStatus.RECEIVED)
    back = received.aggregate(all=Sum("quantity"))["all"] or 0
    ordered: int = OrderLine.objects.filter(order=order).aggregate(all=Sum("quantity"))["all"]
    return bool(back == ordered)


def _tell(order: Order, reason: HistoryRemark, who: UUID) -> None:
    order.bump()
    order.save()
    note(order, reason=reason, who=who)
