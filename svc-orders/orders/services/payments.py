"""What svc-payments says of a payment, by events and by answers to calls, and new payments for unpaid orders.

Both ways end in `take_payment`, which compares versions: whatever comes twice, late or in the wrong order counts once.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from orders import clients
from orders.exceptions import ForeignAmount, OrderNotPayable
from orders.models import (
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
from orders.services.transitions import confirm, lock_order
from shared_lib.contracts.events import (
    OrderRefunded,
    PaymentAttemptFailed,
    PaymentCanceled,
    PaymentDisputed,
    PaymentProcessing,
    PaymentRefunded,
    PaymentSucceeded,
)
from shared_lib.contracts.events import PaymentState as PaymentMessage
from shared_lib.contracts.internal.payments import Payment, PaymentRequest
from shared_lib.events import TooEarly, publish
from shared_lib.exceptions import DomainError, InvalidValue
from shared_lib.money import Money

_STARTS = 3


def take_payment(
    order: Order,
    payment: OrderPayment,
    *,
    version: int,
    status: str,
    amount: Money,
    action: dict[str, Any] | None = None,
    failure_code: str = "",
) -> None:
    """Brings order and payment to what svc-payments says; a version that is not newer changes nothing.

    The order's row is locked. Raises `ForeignAmount`.
    """
    if amount != Money(payment.amount, payment.currency):
        raise ForeignAmount(f"payment {payment.id} is of {amount.format()}, the order is not")
    if version <= payment.version:
        return
    had_succeeded = payment.status == PaymentState.SUCCEEDED
    payment.version, payment.status = version, status
    payment.action, payment.failure_code = action, failure_code
    payment.save()
    if status == PaymentState.SUCCEEDED and not had_succeeded:
        _take_money(order, payment)
    elif order.payment_id == payment.id:
        _show(order, status)


def take_answer(order: Order, payment: OrderPayment, answer: Payment) -> None:
    """`take_payment` for the answer of a call."""
    take_payment(
        order,
        payment,
        version=answer.version,
        status=answer.status,
        amount=answer.amount,
        action=None if answer.action is None else msgspec.to_builtins(answer.action),
    )


def _take_money(order: Order, payment: OrderPayment) -> None:
    """An order that waits for the money is confirmed; money that nobody waits for any more goes back by itself."""
    if order.payment_id != payment.id:
        refunds.request_rest(order, payment, reason="not_wanted")
    elif order.status == OrderStatus.AWAITING_PAYMENT:
        confirm(order, payment)
    else:
        order.payment_status = PaymentStatus.PAID
        order.bump()
        order.save()
        refunds.request_rest(order, payment, reason="order_cancelled")


def _show(order: Order, status: str) -> None:
    """`processing` stops the order's clock; when it fails after all, the buyer gets some time for another attempt."""
    if order.status == OrderStatus.AWAITING_PAYMENT:
        if status == PaymentState.PROCESSING:
            order.payment_status = PaymentStatus.PROCESSING
        elif order.payment_status == PaymentStatus.PROCESSING:
            order.payment_status = PaymentStatus.UNPAID
            retry_until = timezone.now() + timedelta(seconds=settings.ORDER_PAYMENT_RETRY_SECONDS)
            order.expires_at = max(order.expires_at or retry_until, retry_until)
            order.close_at = timezone.now() if order.close_reason else order.expires_at
    order.bump()
    order.save()


def take_payment_processing(event: PaymentProcessing) -> None:
    _take_event(event, PaymentState.PROCESSING)


def take_payment_success(event: PaymentSucceeded) -> None:
    _take_event(event, PaymentState.SUCCEEDED)


def take_payment_canceled(event: PaymentCanceled) -> None:
    _take_event(event, PaymentState.CANCELED)


def take_payment_failure(event: PaymentAttemptFailed) -> None:
    _take_event(event, PaymentState.REQUIRES_PAYMENT_METHOD, failure_code=event.failure_code)


@transaction.atomic
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


@transaction.atomic
def note_refund(event: PaymentRefunded) -> None:
    """Money went back: each refund is told once by `order.refunded`, the sum is that of the newest event."""
    found = _find(event, had_money=True)
    if found is None:
        return
    order, payment = found
    if payment.status != PaymentState.SUCCEEDED:
        raise TooEarly(f"payment {payment.id} has not succeeded here yet")
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
    closed = (
        Refund.objects.filter(pk=event.refund_id)
        .exclude(status=RefundStatus.SUCCEEDED)
        .update(status=RefundStatus.SUCCEEDED, error="", due_at=None, updated_at=timezone.now())
    )
    if closed:
        return True
    _, made = Refund.objects.get_or_create(
        pk=event.refund_id,
        defaults={
            "order": order,
            "payment_id": payment.id,
            "currency": event.refund_amount.currency,
            "amount": event.refund_amount.amount,
            "reason": "made_elsewhere",
            "status": RefundStatus.SUCCEEDED,
            "due_at": None,
        },
    )
    return made


@transaction.atomic
def note_dispute(event: PaymentDisputed) -> None:
    found = _find(event, had_money=True)
    if found is not None and event.version > found[1].version:
        _, payment = found
        payment.version, payment.dispute_reason = event.version, event.reason[:200]
        payment.save()


def _find(event: PaymentMessage, *, had_money: bool) -> tuple[Order, OrderPayment] | None:
    """The order, locked, and its payment.

    None when the event tells of a payment without money of a checkout that was undone: nothing waits for it. Raises
    `TooEarly` while the checkout still runs, `LookupError` for money of a payment that was never ours.
    """
    order = Order.objects.select_for_update().filter(pk=event.order_id).first()
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


def _payment_of_undone(order: Order, event: PaymentMessage) -> OrderPayment:
    """A row for a payment that got money although its order never came to be, so that the money can go back."""
    return OrderPayment.objects.create(
        id=event.payment_id,
        order=order,
        provider=event.provider,
        currency=event.amount.currency,
        amount=event.amount.amount,
    )


def start_payment(*, order_id: UUID, user_id: UUID, payment_id: UUID, provider: str | None) -> Payment:
    """A new payment for the user's unpaid order; an earlier one that could still be paid is cancelled first.

    `payment_id` is made by the caller and names the payment for ever: if the answer is lost, the same call again goes on
    with the same payment. Raises `NotFound`, `OrderNotPayable`, `InvalidValue` for the provider, `ServiceUnavailable`.
    """
    for _ in range(_STARTS):
        order, payment = _attach_payment(
            order_id=order_id, user_id=user_id, payment_id=payment_id, provider=provider
        )
        if payment.id == payment_id:
            return _create(order, payment)
        _drop(order, payment)
    raise OrderNotPayable("Other payments of this order are being started.")


@transaction.atomic
def _attach_payment(
    *, order_id: UUID, user_id: UUID, payment_id: UUID, provider: str | None
) -> tuple[Order, OrderPayment]:
    """The order's open payment; if there is none, a new one in state `creating` with the given id."""
    order = lock_order(order_id, user_id=user_id)
    if order.status != OrderStatus.AWAITING_PAYMENT:
        raise OrderNotPayable(f"The order is {order.status}.")
    if order.payment_status != PaymentStatus.UNPAID:
        raise OrderNotPayable("A payment of this order is being processed.")
    if order.close_reason or order.expires_at is None or order.expires_at <= timezone.now():
        raise OrderNotPayable("The order is being cancelled.")
    current = order.payment
    if current is not None and (current.id == payment_id or current.status != PaymentState.CANCELED):
        return order, current
    payment = OrderPayment.objects.create(
        id=payment_id,
        order=order,
        provider=provider or "",
        currency=order.currency,
        amount=order.total_amount,
    )
    order.payment = payment
    order.bump()
    order.save()
    return order, payment


def _create(order: Order, payment: OrderPayment) -> Payment:
    request = PaymentRequest(
        payment_id=payment.id,
        order_id=order.id,
        user_id=order.user_id,
        amount=Money(payment.amount, payment.currency),
        provider=payment.provider or None,
    )
    try:
        answer = clients.create_payment(request)
    except clients.PaymentRefused as refusal:
        mark_canceled(order.id, payment.id)
        raise refused(refusal) from None
    with transaction.atomic():
        order = lock_order(order.id)
        payment = OrderPayment.objects.get(pk=payment.id)
        take_answer(order, payment, answer)
        OrderPayment.objects.filter(pk=payment.id).update(provider=answer.provider)
    if order.status != OrderStatus.AWAITING_PAYMENT or payment.status == PaymentState.CANCELED:
        raise OrderNotPayable(f"The order is {order.status}.")
    return answer


def refused(refusal: clients.PaymentRefused) -> DomainError:
    """What the buyer is told: the chosen provider is not offered, or this sum cannot be paid at all."""
    if refusal.field == "provider":
        return InvalidValue("payment_provider", refusal.detail, "unknown_provider")
    return OrderNotPayable(refusal.detail)


def _drop(order: Order, payment: OrderPayment) -> None:
    """Cancels a payment to make room for another. Raises `OrderNotPayable` when it can no longer be cancelled."""
    answer = clients.cancel_payment(payment.id)
    if answer is None:
        mark_canceled(order.id, payment.id)
        return
    with transaction.atomic():
        order = lock_order(order.id)
        take_answer(order, OrderPayment.objects.get(pk=payment.id), answer)
    if answer.status != "canceled":
        raise OrderNotPayable(f"The payment of this order is {answer.status}.")


@transaction.atomic
def mark_canceled(order_id: UUID, payment_id: UUID) -> None:
    """A payment that svc-payments does not know and never will: there is no version to compare."""
    Order.objects.select_for_update().get(pk=order_id)
    OrderPayment.objects.filter(pk=payment_id).exclude(status=PaymentState.SUCCEEDED).update(
        status=PaymentState.CANCELED, action=None, updated_at=timezone.now()
    )
