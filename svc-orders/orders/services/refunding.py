"""Money that people send back: by line, by amount, or all of it."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from django.db import transaction
from django.db.models import Sum

from orders.exceptions import LinesNotRefundable, OrderNotRefundable, RefundExceedsPayment
from orders.models import (
    HistoryRemark,
    Order,
    OrderLine,
    OrderPayment,
    PaymentState,
    Refund,
    RefundLine,
    RefundStatus,
)
from orders.services import refunds
from orders.services.history import note
from orders.services.locks import lock_order
from orders.services.picking import pick
from orders.totals import money_document
from shared_lib.exceptions import InvalidValue
from shared_lib.failpoints import around
from shared_lib.money import Money

Amounts = dict[OrderLine, tuple[int, int]]


@around("refund.request")
@transaction.atomic
def refund_order(
    *,
    order_id: UUID,
    who: UUID,
    lines: Mapping[UUID, int] | None = None,
    amount: Money | None = None,
    remark: str = "",
) -> Refund:
    """Sends back what `lines` (variant and quantity) cost, or `amount`, or all that is left; never more than is left.

    Raises `NotFound`, `OrderNotRefundable`, `RefundExceedsPayment`, `LinesNotRefundable`, `InvalidValue`.
    """
    order = lock_order(order_id)
    payment = payment_with_money(order)
    if payment is None:
        raise OrderNotRefundable
    parts: Amounts = {}
    left = refunds.rest_of(payment)
    value = left
    if lines is not None:
        parts = amounts_of(order, lines)
        value = sum(part for _, part in parts.values())
    elif amount is not None:
        if amount.currency != order.currency:
            raise InvalidValue("amount", f"The order is in {order.currency}.", "other_currency")
        value = amount.amount
    if value > left:
        raise RefundExceedsPayment(money_document(left, order.currency))
    if value <= 0:
        raise OrderNotRefundable("These lines cost nothing.")
    refund = make_refund(order, payment, value, parts, reason="staff", remark=remark, who=who)
    order.bump()
    order.save()
    note(order, reason=HistoryRemark.REFUND_REQUESTED, who=who)
    return refund


def payment_with_money(order: Order) -> OrderPayment | None:
    """The payment of the order of which something is left; the current one if there are several."""
    paid = [
        payment
        for payment in OrderPayment.objects.filter(order=order, status=PaymentState.SUCCEEDED)
        if refunds.rest_of(payment) > 0
    ]
    return min(paid, key=lambda payment: payment.id != order.payment_id, default=None)


def amounts_of(order: Order, wanted: Mapping[UUID, int]) -> Amounts:
    """Quantity and amount of each line that is to be paid back, without those whose refunds failed.

    What a line cost is its total less its discount, with its share of the tax that was added. Piece by piece it comes to
    exactly that. Raises `LinesNotRefundable`.
    """
    lines = list(OrderLine.objects.filter(order=order).order_by("position"))
    gone = {
        row["line"]: (row["quantity__sum"], row["amount__sum"])
        for row in RefundLine.objects.filter(line__order=order)
        .exclude(refund__status=RefundStatus.FAILED)
        .values("line")
        .annotate(Sum("quantity"), Sum("amount"))
    }
    left = {line.id: line.quantity - gone.get(line.id, (0, 0))[0] for line in lines}
    amounts: Amounts = {}
    for line, quantity in pick(lines, wanted, left, LinesNotRefundable).items():
        quantity_gone, amount_gone = gone.get(line.id, (0, 0))
        added_tax = 0 if order.tax_included_amount else line.tax_amount
        cost = line.line_total_amount - line.discount_amount + added_tax
        due = cost * (quantity_gone + quantity) // line.quantity
        amounts[line] = quantity, max(0, due - amount_gone)
    return amounts


def make_refund(
    order: Order,
    payment: OrderPayment,
    amount: int,
    parts: Amounts,
    *,
    reason: str,
    remark: str = "",
    who: UUID | None = None,
) -> Refund:
    """The refund's rows, and the hint to send it. The order's row is locked."""
    refund = refunds.create(order, payment, amount, reason=reason, note=remark, requested_by=who)
    RefundLine.objects.bulk_create(
        [
            RefundLine(refund=refund, line=line, quantity=quantity, amount=part)
            for line, (quantity, part) in parts.items()
        ]
    )
    return refund
