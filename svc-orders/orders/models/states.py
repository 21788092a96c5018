"""The states of orders, payments, refunds, returns and checkouts, and the machines that move between them, as data.

`draw` makes the pictures in the README from the tables; a test compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import models

from orders.exceptions import (
    OrderNotCancellable,
    OrderNotDeliverable,
    OrderNotPayable,
    OrderNotShippable,
    ReturnNotApprovable,
    ReturnNotReceivable,
    ReturnNotRejectable,
)
from shared_lib.exceptions import DomainError


class OrderStatus(models.TextChoices):
    DRAFT = "draft"
    AWAITING_PAYMENT = "awaiting_payment"
    CONFIRMED = "confirmed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class PaymentStatus(models.TextChoices):
    """Of an order."""

    UNPAID = "unpaid"
    PROCESSING = "processing"
    PAID = "paid"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"


class FulfillmentStatus(models.TextChoices):
    UNFULFILLED = "unfulfilled"
    PARTIAL = "partial"
    FULFILLED = "fulfilled"
    RETURNED = "returned"


class PaymentState(models.TextChoices):
    """Of one payment. `creating`: its id is ours, svc-payments has not answered yet; never shown to anybody."""

    CREATING = "creating"
    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


PAYABLE_STATES = frozenset({PaymentState.REQUIRES_PAYMENT_METHOD, PaymentState.REQUIRES_ACTION})


class CancelReason(models.TextChoices):
    BUYER = "buyer"
    STAFF = "staff"
    EXPIRED = "expired"
    REPLACED = "replaced"
    OUT_OF_STOCK = "out_of_stock"


class ReturnStatus(models.TextChoices):
    REQUESTED = "requested"
    APPROVED = "approved"
    RECEIVED = "received"
    REJECTED = "rejected"


class HistoryRemark(models.TextChoices):
    """Reasons of rows of history that tell of something else than a new status. The audit knows them too."""

    PARTLY_SHIPPED = "partly_shipped"
    REFUND_REQUESTED = "refund_requested"
    REFUND_FAILED = "refund_failed"
    RETURN_REQUESTED = "return_requested"
    RETURN_APPROVED = "return_approved"
    RETURN_RECEIVED = "return_received"
    RETURN_REJECTED = "return_rejected"


class RefundStatus(models.TextChoices):
    """`accepted`: svc-payments has it, and has not told yet that the money moved."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class CheckoutStep(models.TextChoices):
    """Forward: `started` (nothing taken) → `reserving` (cart and address are fixed) → `done`.

    Backward, from the first two only and never to be left again: `undoing` → `undone`.
    """

    STARTED = "started"
    RESERVING = "reserving"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"


RUNNING_STEPS = (CheckoutStep.STARTED, CheckoutStep.RESERVING)
UNFINISHED_STEPS = (*RUNNING_STEPS, CheckoutStep.UNDOING)


@dataclass(frozen=True, slots=True)
class Transition:
    """From any of `sources` to `target`; from anywhere else `refusal` is raised.

    Refunds and checkouts move by updates on condition of `sources`: from anywhere else they stay as they are.
    """

    sources: frozenset[str]
    target: str
    refusal: type[DomainError] = DomainError


ORDER_TRANSITIONS: dict[str, Transition] = {
    "place": Transition(frozenset({OrderStatus.DRAFT}), OrderStatus.AWAITING_PAYMENT, OrderNotPayable),
    "confirm": Transition(frozenset({OrderStatus.AWAITING_PAYMENT}), OrderStatus.CONFIRMED, OrderNotPayable),
    "cancel": Transition(
        frozenset({OrderStatus.AWAITING_PAYMENT, OrderStatus.CONFIRMED}),
        OrderStatus.CANCELLED,
        OrderNotCancellable,
    ),
    "ship": Transition(frozenset({OrderStatus.CONFIRMED}), OrderStatus.SHIPPED, OrderNotShippable),
    "deliver": Transition(frozenset({OrderStatus.SHIPPED}), OrderStatus.DELIVERED, OrderNotDeliverable),
}


RETURN_TRANSITIONS: dict[str, Transition] = {
    "approve": Transition(frozenset({ReturnStatus.REQUESTED}), ReturnStatus.APPROVED, ReturnNotApprovable),
    "receive": Transition(frozenset({ReturnStatus.APPROVED}), ReturnStatus.RECEIVED, ReturnNotReceivable),
    "reject": Transition(frozenset({ReturnStatus.REQUESTED}), ReturnStatus.REJECTED, ReturnNotRejectable),
}

REFUND_TRANSITIONS: dict[str, Transition] = {
    "accept": Transition(frozenset({RefundStatus.PENDING, RefundStatus.ACCEPTED}), RefundStatus.ACCEPTED),
    "fail": Transition(frozenset({RefundStatus.PENDING, RefundStatus.ACCEPTED}), RefundStatus.FAILED),
    # What the provider has told as done is done, whatever was said before.
    "succeed": Transition(
        frozenset({RefundStatus.PENDING, RefundStatus.ACCEPTED, RefundStatus.FAILED}), RefundStatus.SUCCEEDED
    ),
}

CHECKOUT_TRANSITIONS: dict[str, Transition] = {
    "fix": Transition(frozenset({CheckoutStep.STARTED}), CheckoutStep.RESERVING),
    "place": Transition(frozenset({CheckoutStep.RESERVING}), CheckoutStep.DONE),
    "undo": Transition(frozenset(RUNNING_STEPS), CheckoutStep.UNDOING),
    "drop": Transition(frozenset(RUNNING_STEPS), CheckoutStep.UNDONE),
    "end": Transition(frozenset({CheckoutStep.UNDOING}), CheckoutStep.UNDONE),
}

MACHINES: dict[str, dict[str, Transition]] = {
    "Order": ORDER_TRANSITIONS,
    "Return": RETURN_TRANSITIONS,
    "Refund": REFUND_TRANSITIONS,
    "Checkout": CHECKOUT_TRANSITIONS,
}


def draw(transitions: Mapping[str, Transition]) -> str:
    """The machine as a Mermaid diagram. A state that nothing leads to is where it begins."""
    arrows = [
        f"    {source} --> {transition.target}: {name}"
        for name, transition in transitions.items()
        for source in sorted(transition.sources)
    ]
    targets = {transition.target for transition in transitions.values()}
    sources = {source for transition in transitions.values() for source in transition.sources}
    begin = [f"    [*] --> {state}" for state in sorted(sources - targets)]
    end = [f"    {state} --> [*]" for state in sorted(targets - sources)]
    return "\n".join(["stateDiagram-v2", *begin, *arrows, *end])
