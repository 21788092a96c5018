"""What svc-orders does when svc-payments tells of a payment, and svc-catalog of stock that is missing.

Versions are compared in the services.
"""

from __future__ import annotations

from orders import services
from shared_lib.contracts.events import (
    PaymentActionRequired,
    PaymentAttemptFailed,
    PaymentCanceled,
    PaymentDisputed,
    PaymentProcessing,
    PaymentRefunded,
    PaymentRefundFailed,
    PaymentSucceeded,
    StockShortage,
)
from shared_lib.events import EventHandlers

EVENT_HANDLERS: EventHandlers = {
    PaymentProcessing: services.take_payment_processing,
    PaymentActionRequired: services.take_payment_action,
    PaymentSucceeded: services.take_payment_success,
    PaymentCanceled: services.take_payment_canceled,
    PaymentAttemptFailed: services.take_payment_failure,
    PaymentRefunded: services.note_refund,
    PaymentRefundFailed: services.note_refund_failure,
    PaymentDisputed: services.note_dispute,
    StockShortage: services.take_shortage,
}
