"""Every write of svc-payments."""

from payments.services.payments import cancel_payment, confirm_payment, create_payment
from payments.services.reconciliation import reconcile_attempt
from payments.services.refunds import request_refund, send_refund
from payments.services.webhooks import delete_settled_webhook_events, process_webhook_event, receive_webhook

__all__ = [
    "cancel_payment",
    "confirm_payment",
    "create_payment",
    "delete_settled_webhook_events",
    "process_webhook_event",
    "receive_webhook",
    "reconcile_attempt",
    "request_refund",
    "send_refund",
]
