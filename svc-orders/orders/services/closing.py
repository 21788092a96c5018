"""Cancelling orders. svc-payments decides: an unpaid order is cancelled only when its payment can no longer succeed.

First the wish is written down, then svc-payments is asked to cancel the payment, then its answer is taken. A process that
dies between leaves the wish, and the sweeper that keeps the clock of all unpaid orders goes on with it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import structlog
from django.db import transaction
from django.utils import timezone

from orders import clients
from orders.exceptions import OrderNotCancellable
from orders.models import CancelReason, Order, OrderPayment, OrderStatus, PaymentState, PaymentStatus
from orders.services.locks import claim_orders_to_close, lock_order
from orders.services.payments import mark_canceled, take_answer
from orders.services.sweeping import BATCH, sweep
from orders.services.transitions import cancel
from shared_lib.exceptions import DomainError
from shared_lib.failpoints import around
from shared_lib.jobs import working_on
from shared_lib.observability import tracing

logger = structlog.get_logger(__name__)

# When the sweeper tries again what was begun and not ended.
_RETRY = timedelta(seconds=30)

Precondition = Callable[[Order], None]


def cancel_order(
    *, order_id: UUID, who: UUID, is_staff: bool = False, precondition: Precondition | None = None
) -> Order:
    """Cancels an order before it ships; what was paid goes back by a refund. Staff may cancel anybody's, others their own.

    `precondition` is called with the locked order and may raise. Raises `NotFound`, `OrderNotCancellable`,
    `ServiceUnavailable` (then the order is cancelled later, if it is still unpaid).
    """
    order = _cancel_paid_or_wish(order_id, who=who, is_staff=is_staff, precondition=precondition)
    if order.status == OrderStatus.AWAITING_PAYMENT:
        order = _ask_and_settle(order)
    if order.status == OrderStatus.CONFIRMED:
        order = _cancel_paid_or_wish(order_id, who=who, is_staff=is_staff)
    if order.status != OrderStatus.CANCELLED:
        raise OrderNotCancellable("The payment of this order is being processed.")
    return order


@around("close.wish")
@transaction.atomic
def _cancel_paid_or_wish(
    order_id: UUID, *, who: UUID, is_staff: bool, precondition: Precondition | None = None
) -> Order:
    """A confirmed order is cancelled at once; for an unpaid one the wish is written down."""
    order = lock_order(order_id, user_id=None if is_staff else who)
    if precondition is not None:
        precondition(order)
    reason = CancelReason.BUYER if order.user_id == who else CancelReason.STAFF
    if order.status == OrderStatus.AWAITING_PAYMENT:
        _wish(order, reason=reason, who=who)
    else:
        cancel(order, reason=reason, who=who)
    return order


def replace_order(order_id: UUID, *, who: UUID) -> Order:
    """Cancels an unpaid order in favour of a newer one, if that can be done. Raises `ServiceUnavailable`."""
    with around("close.replace"), transaction.atomic():
        order = lock_order(order_id)
        if order.status != OrderStatus.AWAITING_PAYMENT or order.payment_status != PaymentStatus.UNPAID:
            return order
        _wish(order, reason=CancelReason.REPLACED, who=who)
    return _ask_and_settle(order)


def cancel_expired_orders() -> int:
    """Cancels orders whose time has come, or whose cancelling was begun and not ended; says how many it tried."""
    return sweep(_claim_due, _close)


def _close(order: Order) -> None:
    with working_on(order) as attempt:
        tracing.note(order_id=order.id)
        try:
            _ask_and_settle(order)
        except DomainError as error:
            attempt.fail()
            logger.warning(
                "order_not_closed", order=str(order.id), reason=order.close_reason, error=str(error)
            )


@around("close.claim")
@transaction.atomic
def _claim_due() -> list[Order]:
    """Due orders, each taken by one claimer and out of the others' reach until the next try."""
    now = timezone.now()
    claimed = claim_orders_to_close(due_at=now, limit=BATCH)
    for order in claimed:
        order.close_reason = order.close_reason or CancelReason.EXPIRED
        order.close_at = now + _RETRY
    Order.objects.bulk_update(claimed, ["close_reason", "close_at"])
    return claimed


def _wish(order: Order, *, reason: str, who: UUID) -> None:
    """From now on no new payment is started; the first wish gives the reason."""
    if not order.close_reason:
        order.close_reason = reason
        order.close_wanted_by = who
    order.close_at = timezone.now() + _RETRY
    order.save(update_fields=["close_reason", "close_wanted_by", "close_at", "updated_at"])


def _ask_and_settle(order: Order) -> Order:
    """Asks svc-payments to cancel the payment of an order that somebody wants gone, and does what the answer allows.

    Returns the order as it is then: cancelled, confirmed (the payment had succeeded), or still waiting (it is processing;
    the wish is dropped).
    """
    payment_id = order.payment_id
    answer = None
    if payment_id is not None:
        with around("close.cancel_payment"):
            answer = clients.cancel_payment(payment_id)
        if answer is None:
            mark_canceled(order.id, payment_id)
    with around("close.settle"), transaction.atomic():
        order = lock_order(order.id)
        if payment_id is not None and answer is not None:
            take_answer(order, OrderPayment.objects.get(pk=payment_id), answer)
        if order.status != OrderStatus.AWAITING_PAYMENT or order.payment_id != payment_id:
            return order
        payment = order.payment
        if payment is None or payment.status == PaymentState.CANCELED:
            cancel(order, reason=order.close_reason or CancelReason.EXPIRED, who=order.close_wanted_by)
        else:
            now = timezone.now()
            order.close_reason = ""
            order.close_wanted_by = None
            order.close_at = max(order.expires_at or now, now + _RETRY)
            order.save(update_fields=["close_reason", "close_wanted_by", "close_at", "updated_at"])
    return order
