"""Every row lock of svc-orders. Whoever locks more than one row does it in this order, so that nobody waits in a circle:

    1  checkouts   of one buyer, or any with SKIP LOCKED
    2  orders      in the order of their ids, or with SKIP LOCKED
    3  the rest    refunds that are due, with SKIP LOCKED

What belongs to an order (its lines, payments, refunds, shipments, returns) is written under the lock of its order, with two
exceptions: a refund is claimed, and its answer written, by itself, on condition of its status. A checkout is written on
condition of its attempt, which locks its row before that of its order.

A batch of events is one transaction and comes in the order of subjects, which are payments as a rule. Two consumers could
still meet two orders the other way round when each of these has events of two payments; PostgreSQL then ends one of them,
and the inbox takes that batch again.

No other module calls `select_for_update`. The tests watch all statements for the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from orders.models import (
    UNFINISHED_STEPS,
    CheckoutSaga,
    Order,
    OrderStatus,
    PaymentStatus,
    Refund,
)
from shared_lib.exceptions import NotFound
from shared_lib.jobs.rows import claim_due


def lock_checkouts(user_id: UUID) -> QuerySet[CheckoutSaga]:
    """The buyer's checkouts; those that are read are locked."""
    return CheckoutSaga.objects.select_for_update().filter(user_id=user_id)


def claim_unfinished_checkouts(*, due_at: datetime, limit: int) -> list[CheckoutSaga]:
    """Unfinished checkouts whose deadline has passed and that nobody else works on."""
    due = CheckoutSaga.objects.select_for_update(skip_locked=True).filter(
        step__in=UNFINISHED_STEPS, deadline__lte=due_at
    )
    return list(due.order_by("deadline")[:limit])


def claim_ended_checkouts(*, due_at: datetime, limit: int) -> list[CheckoutSaga]:
    """Checkouts that may be forgotten, with nothing but their keys."""
    ended = CheckoutSaga.objects.select_for_update(skip_locked=True).exclude(step__in=UNFINISHED_STEPS)
    return list(ended.filter(deadline__lte=due_at).only("pk", "order_id").order_by("deadline")[:limit])


def lock_unneeded_drafts(ids: Sequence[UUID]) -> list[UUID]:
    """Those of these orders that are drafts without a refund: nothing hangs on them."""
    drafts = Order.objects.select_for_update(of=("self",)).filter(pk__in=ids, status=OrderStatus.DRAFT)
    unneeded = drafts.filter(~Exists(Refund.objects.filter(order=OuterRef("pk"))))
    return list(unneeded.order_by("pk").values_list("pk", flat=True))


def lock_order(order_id: UUID, *, user_id: UUID | None = None) -> Order:
    """The placed order, locked until the end of the transaction. With `user_id` only that user's own.

    Raises `NotFound`.
    """
    owned = Q() if user_id is None else Q(user_id=user_id)
    order = Order.objects.select_for_update().placed().filter(owned, pk=order_id).first()
    if order is None:
        raise NotFound("There is no such order.")
    return order


def lock_order_or_draft(order_id: UUID) -> Order | None:
    """For what comes from other services, which may tell of a checkout that never became an order."""
    return Order.objects.select_for_update().filter(pk=order_id).first()


def claim_orders_to_close(*, due_at: datetime, limit: int) -> list[Order]:
    """Unpaid orders whose time has come and that nobody else works on."""
    due = Order.objects.select_for_update(skip_locked=True).filter(
        status=OrderStatus.AWAITING_PAYMENT, payment_status=PaymentStatus.UNPAID, close_at__lte=due_at
    )
    return list(due.order_by("close_at")[:limit])


def claim_refunds(refunds: QuerySet[Refund], *, limit: int, pauses: Sequence[float]) -> list[Refund]:
    """Due ones of `refunds`, out of everybody's reach for the next of `pauses`; commits."""
    return claim_due(refunds, limit=limit, pauses=pauses)
