"""Events that svc-payments publishes."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from shared_lib.contracts.events.base import AggregateEvent
from shared_lib.money import Money

PRODUCER = "svc-payments"


class PaymentState(AggregateEvent, frozen=True, kw_only=True, omit_defaults=True):
    payment_id: UUID
    order_id: UUID
    user_id: UUID
    amount: Money
    provider: str


class PaymentProcessing(PaymentState, frozen=True, kw_only=True, omit_defaults=True):
    event_type: ClassVar[str] = "payment.processing.v1"
    producer: ClassVar[str] = PRODUCER


class PaymentActionRequired(PaymentState, frozen=True, kw_only=True, omit_defaults=True):
    """The buyer has to do something at the provider (3-D Secure); `GET /payments/{id}` has the way there."""

    event_type: ClassVar[str] = "payment.action_required.v1"
    producer: ClassVar[str] = PRODUCER


class PaymentSucceeded(PaymentState, frozen=True, kw_only=True, omit_defaults=True):
    event_type: ClassVar[str] = "payment.succeeded.v1"
    producer: ClassVar[str] = PRODUCER
    provider_reference: str


class PaymentCanceled(PaymentState, frozen=True, kw_only=True, omit_defaults=True):
    event_type: ClassVar[str] = "payment.canceled.v1"
    producer: ClassVar[str] = PRODUCER


class PaymentAttemptFailed(PaymentState, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt was declined; the payment may be confirmed again."""

    event_type: ClassVar[str] = "payment.attempt_failed.v1"
    producer: ClassVar[str] = PRODUCER
    failure_code: str


class PaymentRefunded(PaymentState, frozen=True, kw_only=True, omit_defaults=True):
    """`refund_amount` went back now, `refunded_total` is all that ever did."""

    event_type: ClassVar[str] = "payment.refunded.v1"
    producer: ClassVar[str] = PRODUCER
    refund_id: UUID
    refund_amount: Money
    refunded_total: Money


class PaymentRefundFailed(PaymentState, frozen=True, kw_only=True, omit_defaults=True):
    """The provider refused a refund for good: no money went back."""

    event_type: ClassVar[str] = "payment.refund_failed.v1"
    producer: ClassVar[str] = PRODUCER
    refund_id: UUID
    refund_amount: Money
    failure_code: str


class PaymentDisputed(PaymentState, frozen=True, kw_only=True, omit_defaults=True):
    event_type: ClassVar[str] = "payment.disputed.v1"
    producer: ClassVar[str] = PRODUCER
    reason: str
