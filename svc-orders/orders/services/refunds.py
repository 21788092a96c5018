"""Money that goes back: a row in the transaction that decides it, a task as the hint, the sweeper as the guarantee."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone

from orders import clients
from orders.models import (
    REFUND_TRANSITIONS,
    HistoryRemark,
    Order,
    OrderPayment,
    OrderStatus,
    Refund,
    RefundLine,
    RefundStatus,
)
from orders.services.history import note
from orders.services.locks import claim_refunds, lock_order_or_draft
from orders.services.sweeping import BATCH, sweep
from shared_lib.contracts.internal.payments import RefundRequest
from shared_lib.exceptions import DomainError
from shared_lib.failpoints import around
from shared_lib.jobs import Attempt, enqueue, working_on
from shared_lib.money import Money

logger = structlog.get_logger(__name__)

_OPEN = (RefundStatus.PENDING, RefundStatus.ACCEPTED)
_ACCEPT = REFUND_TRANSITIONS["accept"]

# A week: what svc-payments cannot take by then is for people to look at.
_PAUSES = (10, 30, 60, 300, *(600,) * 1000)


def request_rest(order: Order, payment: OrderPayment, *, reason: str) -> Refund | None:
    """Decides that all that is left of a payment goes back; None when nothing is left. The order's row is locked."""
    rest = rest_of(payment)
    return create(order, payment, rest, reason=reason) if rest > 0 else None


def rest_of(payment: OrderPayment) -> int:
    """What has neither gone back nor is on its way. The order's row is locked."""
    on_its_way = Refund.objects.filter(payment_id=payment.id, status__in=_OPEN)
    amount: int = on_its_way.aggregate(amount=Sum("amount"))["amount"] or 0
    return payment.amount - payment.refunded_amount - amount


def quantities_of(order: Order) -> dict[UUID, int]:
    """How much of each line (by id) has been paid back or is about to be."""
    rows = RefundLine.objects.filter(line__order=order).exclude(refund__status=RefundStatus.FAILED)
    return dict(rows.values("line").annotate(all=Sum("quantity")).values_list("line", "all"))


def create(order: Order, payment: OrderPayment, amount: int, **values: Any) -> Refund:
    """A refund that is to be sent: the row, and the hint to do it now. The order's row is locked."""
    refund = Refund.objects.create(
        order=order, payment_id=payment.id, currency=payment.currency, amount=amount, **values
    )
    from orders.tasks import send_refund as task

    enqueue(task, str(refund.id))
    return refund


def send_refund(refund_id: UUID) -> None:
    """Sends one refund if it is due; else it is done, or somebody else's work."""
    for refund in _claim(Refund.objects.filter(pk=refund_id), limit=1):
        _send(refund)


def send_due_refunds() -> int:
    """Sends all that is due; says how many it tried."""
    return sweep(lambda: _claim(Refund.objects.all(), limit=BATCH), _send)


@around("refund.claim")
def _claim(refunds: QuerySet[Refund], *, limit: int) -> list[Refund]:
    return claim_refunds(refunds, limit=limit, pauses=_PAUSES)


def _send(refund: Refund) -> None:
    with working_on(refund) as attempt:
        _ask(refund, attempt)


def _ask(refund: Refund, attempt: Attempt) -> None:
    request = RefundRequest(
        refund_id=refund.id, amount=Money(refund.amount, refund.currency), reason=refund.reason
    )
    try:
        with around("refund.send"):
            answer = clients.refund_payment(payment_id=refund.payment_id, request=request)
    except clients.RefundRefused as refusal:
        attempt.fail()
        _fail(refund, str(refusal))
    except DomainError as error:
        attempt.fail()
        _write(refund, error=str(error))
        logger.warning("refund_delayed", refund=str(refund.id), attempts=refund.attempts, error=str(error))
    else:
        _take_answer(refund, answer.status)


def _take_answer(refund: Refund, status: str) -> None:
    """That the money moved is told by `payment.refunded`; until then svc-payments is asked again, in case it failed."""
    match status:
        case "failed":
            _fail(refund, "The provider could not move the money.")
        case "succeeded":
            _write(refund, status=_ACCEPT.target, error="", due_at=None)
        case _:
            _write(refund, status=_ACCEPT.target, error="")


@around("refund.note")
@transaction.atomic
def _write(refund: Refund, **values: Any) -> None:
    """Changes the row while it is open: `payment.refunded` may have come before an answer."""
    Refund.objects.filter(pk=refund.pk, status__in=_ACCEPT.sources).update(
        **values, updated_at=timezone.now()
    )


@around("refund.fail")
@transaction.atomic
def _fail(refund: Refund, error: str) -> None:
    order = lock_order_or_draft(refund.order_id)
    if order is not None:
        mark_failed(order, refund.id, error=error)


def mark_failed(order: Order, refund_id: UUID, *, error: str) -> None:
    """No money went back, for good. What was to go back may be asked for again, by another refund.

    The order's row is locked. A refund whose end is known already stays as it is.
    """
    fail = REFUND_TRANSITIONS["fail"]
    open_row = Refund.objects.filter(pk=refund_id, status__in=fail.sources)
    if not open_row.update(status=fail.target, error=error, due_at=None, updated_at=timezone.now()):
        return
    logger.error("refund_failed", refund=str(refund_id), order=str(order.id), error=error)
    if order.status != OrderStatus.DRAFT:
        order.bump()
        order.save()
        note(order, reason=HistoryRemark.REFUND_FAILED)
