"""What svc-payments says of a payment, and new payments for unpaid orders.

Events and answers to calls both end in `take_payment`, which compares versions:
whatever comes twice, late or in the wrong order counts once.
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
    Order,
    OrderPayment,
    OrderStatus,
    PaymentState,
    PaymentStatus,
)
from orders.services import refunds
from orders.services.locks import lock_order, lock_order_or_draft
from orders.services.transitions import confirm
from shared_lib.contracts.internal.payments import Payment, PaymentRequest
from shared_lib.exceptions import DomainError, InvalidValue
from shared_lib.failpoints import around
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
    payment.save(update_fields=["version", "status", "action", "failure_code", "updated_at"])
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


@around("payment.attach")
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
        with around("payment.create"):
            answer = clients.create_payment(request)
    except clients.PaymentRefused as refusal:
        mark_canceled(order.id, payment.id)
        raise refused(refusal) from None
    with around("payment.take"), transaction.atomic():
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
    with around("payment.drop"):
        answer = clients.cancel_payment(payment.id)
    if answer is None:
        mark_canceled(order.id, payment.id)
        return
    with around("payment.take_dropped"), transaction.atomic():
        order = lock_order(order.id)
        take_answer(order, OrderPayment.objects.get(pk=payment.id), answer)
    if answer.status != "canceled":
        raise OrderNotPayable(f"The payment of this order is {answer.status}.")


@around("payment.mark_canceled")
@transaction.atomic
def mark_canceled(order_id: UUID, payment_id: UUID) -> None:
    """A payment that svc-payments does not know and never will: there is no version to compare."""
    lock_order_or_draft(order_id)
    OrderPayment.objects.filter(pk=payment_id).exclude(status=PaymentState.SUCCEEDED).update(
        status=PaymentState.CANCELED, action=None, updated_at=timezone.now()
    )
