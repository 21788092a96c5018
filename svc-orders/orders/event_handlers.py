"""What svc-orders does when svc-payments tells of a payment. Versions are compared in the services."""

from __future__ import annotations

from orders import services
from shared_lib.contracts.events import (
    PaymentAttemptFailed,
    PaymentCanceled,
    PaymentDisputed,
    PaymentProcessing,
    PaymentRefunded,
    PaymentSucceeded,
)
from shared_lib.events import EventHandlers

EVENT_HANDLERS: EventHandlers = {
    PaymentProcessing: services.take_payment_processing,
    PaymentSucceeded: services.take_payment_success,
    PaymentCanceled: services.take_payment_canceled,
    PaymentAttemptFailed: services.take_payment_failure,
    PaymentRefunded: services.note_refund,
    PaymentDisputed: services.note_dispute,
}
