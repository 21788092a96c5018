"""What svc-payments tells by events. Each has its effect once, however often, late and in whatever order it comes."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from orders.models import (
    REFUND_TRANSITIONS,
    RUNNING_STEPS,
    CheckoutSaga,
    Order,
    OrderPayment,
    OrderStatus,
    PaymentState,
    PaymentStatus,
    Refund,
    RefundStatus,
)
from orders.services import refunds
from orders.services.locks import lock_order_or_draft
from orders.services.payments import take_payment
from shared_lib.contracts.events import (
    OrderRefunded,
    PaymentActionRequired,
    PaymentAttemptFailed,
    PaymentCanceled,
    PaymentDisputed,
    PaymentProcessing,
    PaymentRefunded,
    PaymentRefundFailed,
    PaymentSucceeded,
)
from shared_lib.contracts.events import PaymentState as PaymentMessage
from shared_lib.events import TooEarly, publish
from shared_lib.failpoints import around


def take_payment_processing(event: PaymentProcessing) -> None:
    _take_event(event, PaymentState.PROCESSING)


def take_payment_success(event: PaymentSucceeded) -> None:
    _take_event(event, PaymentState.SUCCEEDED)


def take_payment_action(event: PaymentActionRequired) -> None:
    """The way to what the buyer has to do is not in the event: svc-payments shows it."""
    _take_event(event, PaymentState.REQUIRES_ACTION)


def take_payment_canceled(event: PaymentCanceled) -> None:
    _take_event(event, PaymentState.CANCELED)


def take_payment_failure(event: PaymentAttemptFailed) -> None:
    _take_event(event, PaymentState.REQUIRES_PAYMENT_METHOD, failure_code=event.failure_code)


@around("event.payment")
@transaction.atomic(savepoint=False)
def _take_event(event: PaymentMessage, status: str, failure_code: str = "") -> None:
    found = _find(event, had_money=status == PaymentState.SUCCEEDED)
    if found is not None:
        order, payment = found
        take_payment(
            order,
            payment,
            version=event.version,
            status=status,
            amount=event.amount,
            failure_code=failure_code,
        )


@around("event.refund")
@transaction.atomic
def note_refund(event: PaymentRefunded) -> None:
    """Money went back: each refund is told once by `order.refunded`, the sum is that of the newest event."""
    found = _find(event, had_money=True)
    if found is None:
        return
    order, payment = found
    _check_had_money(payment)
    newly = _close_refund(order, payment, event)
    if event.version > payment.version:
        payment.version = event.version
        payment.refunded_amount = event.refunded_total.amount
        payment.save()
        if order.payment_id == payment.id:
            in_full = payment.refunded_amount >= payment.amount
            order.payment_status = PaymentStatus.REFUNDED if in_full else PaymentStatus.PARTIALLY_REFUNDED
    if order.status == OrderStatus.DRAFT:
        return
    order.bump()
    order.save()
    if newly:
        message = OrderRefunded(
            version=order.version,
            order_id=order.id,
            number=order.number or "",
            user_id=order.user_id,
            refund_id=event.refund_id,
            amount=event.refund_amount,
        )
        publish(message, subject=order.id)


def _close_refund(order: Order, payment: OrderPayment, event: PaymentRefunded) -> bool:
    """Whether this refund had not been known as done. One that was not asked for here gets its row too."""
    succeed = REFUND_TRANSITIONS["succeed"]
    open_row = Refund.objects.filter(pk=event.refund_id, status__in=succeed.sources)
    if open_row.update(status=succeed.target, error="", due_at=None, updated_at=timezone.now()):
        return True
    _, made = Refund.objects.get_or_create(
        pk=event.refund_id,
        defaults={**_made_elsewhere(order, payment, event), "status": RefundStatus.SUCCEEDED},
    )
    return made


def _made_elsewhere(
    order: Order, payment: OrderPayment, event: PaymentRefunded | PaymentRefundFailed
) -> dict[str, Any]:
    """The row of a refund that was not asked for here."""
    return {
        "order": order,
        "payment_id": payment.id,
        "currency": event.refund_amount.currency,
        "amount": event.refund_amount.amount,
        "reason": "made_elsewhere",
        "status": RefundStatus.ACCEPTED,
        "due_at": None,
    }


@around("event.refund_failed")
@transaction.atomic
def note_refund_failure(event: PaymentRefundFailed) -> None:
    """A refund that the provider refused for good: people see it at the order and may ask for the money again."""
    found = _find(event, had_money=True)
    if found is None:
        return
    order, payment = found
    _check_had_money(payment)
    if event.version > payment.version:
        payment.version = event.version
        payment.save()
    Refund.objects.get_or_create(pk=event.refund_id, defaults=_made_elsewhere(order, payment, event))
    refunds.mark_failed(order, event.refund_id, error=f"The provider refused: {event.failure_code}.")


@around("event.dispute")
@transaction.atomic
def note_dispute(event: PaymentDisputed) -> None:
    found = _find(event, had_money=True)
    if found is None:
        return
    _, payment = found
    _check_had_money(payment)
    if event.version > payment.version:
        payment.version, payment.dispute_reason = event.version, event.reason[:200]
        payment.save()


def _find(event: PaymentMessage, *, had_money: bool) -> tuple[Order, OrderPayment] | None:
    """The order, locked, and its payment.

    None when the event tells of a payment without money of a checkout that was undone: nothing waits for it. Raises
    `TooEarly` while the checkout still runs, `LookupError` for money of a payment that was never ours.
    """
    order = lock_order_or_draft(event.order_id)
    payment = OrderPayment.objects.filter(pk=event.payment_id, order_id=event.order_id).first()
    if order is not None and payment is not None:
        return order, payment
    if order is not None and order.status == OrderStatus.DRAFT:
        saga = CheckoutSaga.objects.get(order=order)
        if saga.payment_id == event.payment_id:
            if saga.step in RUNNING_STEPS:
                raise TooEarly(f"the checkout of order {order.id} is still running")
            return (order, _payment_of_undone(order, event)) if had_money else None
    if had_money:
        raise LookupError(f"payment {event.payment_id} of order {event.order_id} is not known here")
    return None


def _check_had_money(payment: OrderPayment) -> None:
    """What became of the money must not be taken before the money itself: the version would hide it. Raises `TooEarly`."""
    if payment.status != PaymentState.SUCCEEDED:
        raise TooEarly(f"payment {payment.id} has not succeeded here yet")


def _payment_of_undone(order: Order, event: PaymentMessage) -> OrderPayment:
    """A row for a payment that got money although its order never came to be, so that the money can go back."""
    return OrderPayment.objects.create(
        id=event.payment_id,
        order=order,
        provider=event.provider,
        currency=event.amount.currency,
        amount=event.amount.amount,
    )
