"""svc-payments. All callers: svc-orders.

POST /internal/v1/payments PaymentRequest            -> 201 Payment; the same payment_id again: the same payment, 200.
     A payment of nothing has succeeded already: no provider is asked and no event tells of it
GET  /internal/v1/payments/{payment_id}              -> Payment
POST /internal/v1/payments/{payment_id}/cancel       -> Payment with status canceled, succeeded or processing
     (one of nothing: always canceled);
     an unknown payment_id: 404 and a tombstone, so that a late POST creates nothing that can be paid
POST /internal/v1/payments/{payment_id}/refunds RefundRequest -> 201 Refund; the same refund_id again: the same refund, 200;
     409 `refund_exceeds_payment`
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec

from shared_lib.money import Money

PaymentStatus = Literal["requires_payment_method", "requires_action", "processing", "succeeded", "canceled"]


class PaymentAction(msgspec.Struct, frozen=True, kw_only=True):
    type: Literal["redirect"]
    url: str


class PaymentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`payment_id` is made by the caller before the call and names this payment for ever: the call can be repeated safely.

    `provider` null means the shop's default.
    """

    payment_id: UUID
    order_id: UUID
    user_id: UUID
    amount: Money
    provider: str | None = None


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    order_id: UUID
    user_id: UUID
    version: int
    status: PaymentStatus
    amount: Money
    refunded: Money
    provider: str
    action: PaymentAction | None = None


class RefundRequest(msgspec.Struct, frozen=True, kw_only=True):
    refund_id: UUID
    amount: Money
    reason: str


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    payment_id: UUID
    amount: Money
    status: Literal["pending", "succeeded", "failed"]
