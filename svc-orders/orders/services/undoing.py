"""What a checkout took and does not need is given back: at once where that can be done, else by the sweeper until it is.

The decision to undo is one conditional update of the saga's row. From then on the checkout can never go forward again, and
its key is free for a new attempt.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from orders import clients
from orders.models import (
    CHECKOUT_TRANSITIONS,
    RUNNING_STEPS,
    CheckoutSaga,
    CheckoutStep,
    Order,
    OrderPayment,
)
from orders.services.locks import (
    claim_ended_checkouts,
    claim_unfinished_checkouts,
    lock_order_or_draft,
    lock_unneeded_drafts,
)
from orders.services.payments import take_answer
from orders.services.sweeping import BATCH, sweep
from shared_lib.exceptions import DomainError, ServiceUnavailable
from shared_lib.failpoints import around
from shared_lib.jobs import working_on

logger = structlog.get_logger(__name__)

_FORGET_BATCH = 500
KEPT_FOR = timedelta(hours=24)
_FIRST_PAUSE_SECONDS = 5
# Short: until it is undone, the buyer may be refused what the checkout still holds.
_LONGEST_PAUSE_SECONDS = 20


def give_up(saga: CheckoutSaga, *, reservation: bool, coupons: bool, payment: bool, error: str) -> None:
    """Ends a running checkout that `saga` still owns; what may have been taken (the three flags) is given back.

    Does nothing when the checkout is no longer this caller's, or has made its order after all.
    """
    taken = reservation or coupons or payment
    now = timezone.now()
    transition = CHECKOUT_TRANSITIONS["undo" if taken else "drop"]
    with around("undo.decide"), transaction.atomic():
        ours = CheckoutSaga.objects.filter(
            pk=saga.pk, attempts=saga.attempts, step__in=transition.sources
        ).update(
            step=transition.target,
            key=None,
            undo_reservation=reservation,
            undo_coupons=coupons,
            undo_payment=payment,
            error=error[:2000],
            deadline=now + (_pause_after(0) if taken else KEPT_FOR),
            updated_at=now,
        )
    if ours and taken:
        saga.undo_reservation, saga.undo_coupons, saga.undo_payment = reservation, coupons, payment
        _undo(saga)


def settle_checkouts() -> int:
    """Undoes every checkout whose deadline has passed; says how many it tried.

    Running ones lost their process and nobody came back for them; those that are half undone are tried again.
    """
    return sweep(_claim_due, _resume)


@around("undo.claim")
@transaction.atomic
def _claim_due() -> list[CheckoutSaga]:
    """Due rows, each taken by one claimer. Claiming a running one is the decision to undo it."""
    now = timezone.now()
    claimed = claim_unfinished_checkouts(due_at=now, limit=BATCH)
    for saga in claimed:
        if saga.step in RUNNING_STEPS:
            saga.abandon()
        else:
            saga.attempts += 1
        saga.deadline = now + _pause_after(saga.attempts)
    CheckoutSaga.objects.bulk_update(
        claimed,
        [
            "step",
            "key",
            "error",
            "undo_reservation",
            "undo_coupons",
            "undo_payment",
            "attempts",
            "deadline",
        ],
    )
    return claimed


def forget_checkouts() -> int:
    """Deletes checkouts that ended a day ago, and with the undone ones their drafts; says how many.

    A draft stays while a refund hangs on it: money that came for an order that never was.
    """
    return sweep(_forget_some, lambda saga: None)


@around("undo.forget")
@transaction.atomic
def _forget_some() -> list[CheckoutSaga]:
    some = claim_ended_checkouts(due_at=timezone.now(), limit=_FORGET_BATCH)
    CheckoutSaga.objects.filter(pk__in=[saga.pk for saga in some]).delete()
    Order.objects.filter(pk__in=lock_unneeded_drafts([saga.order_id for saga in some])).delete()
    return some


def _resume(saga: CheckoutSaga) -> None:
    with working_on(saga) as attempt:
        if not _undo(saga):
            attempt.fail()


def _undo(saga: CheckoutSaga) -> bool:
    """True when all is given back. The payment first: nothing is given back while it could still be paid for."""
    try:
        if saga.undo_payment:
            _undo_payment(saga)
        if saga.undo_coupons:
            with around("undo.return_coupons"):
                clients.return_coupons(saga.order_id)
            _update(saga, undo_coupons=False)
        if saga.undo_reservation:
            with around("undo.release"):
                clients.release(saga.order_id)
            _update(saga, undo_reservation=False)
    except DomainError as error:
        logger.warning("undo_delayed", order=str(saga.order_id), attempts=saga.attempts, error=str(error))
        return False
    _update(saga, step=CHECKOUT_TRANSITIONS["end"].target, deadline=timezone.now() + KEPT_FOR)
    return True


def _undo_payment(saga: CheckoutSaga) -> None:
    """Nobody was ever told of this payment; should it have got money all the same, that goes back.

    Raises `ServiceUnavailable` while it can neither be cancelled nor refunded.
    """
    with around("undo.cancel_payment"):
        answer = clients.cancel_payment(saga.payment_id)
    if answer is not None and answer.status not in ("canceled", "succeeded"):
        raise ServiceUnavailable(f"The payment is {answer.status}.")
    if answer is not None and answer.status == "succeeded":
        with around("undo.take_money"), transaction.atomic():
            order = lock_order_or_draft(saga.order_id)
            if order is None:
                raise LookupError(f"the draft of checkout {saga.pk} is gone")
            payment, _ = OrderPayment.objects.get_or_create(
                pk=saga.payment_id,
                defaults={
                    "order": order,
                    "provider": answer.provider,
                    "currency": answer.amount.currency,
                    "amount": answer.amount.amount,
                },
            )
            take_answer(order, payment, answer)
    _update(saga, undo_payment=False)


@around("undo.note")
@transaction.atomic
def _update(saga: CheckoutSaga, **values: Any) -> None:
    """Undoing is repeatable, so whoever gets a part of it done may write that down."""
    CheckoutSaga.objects.filter(pk=saga.pk, step=CheckoutStep.UNDOING).update(
        **values, updated_at=timezone.now()
    )
    for name, value in values.items():
        setattr(saga, name, value)


def _pause_after(attempts: int) -> timedelta:
    return timedelta(seconds=min(_FIRST_PAUSE_SECONDS * 2 ** min(attempts, 10), _LONGEST_PAUSE_SECONDS))
