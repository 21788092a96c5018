"""Every write of svc-payments."""

from payments.services.comparison import compare_with_provider, delete_old_comparisons
from payments.services.disputes import record_dispute
from payments.services.payments import cancel_payment, confirm_payment, create_payment
from payments.services.reconciliation import reconcile_attempt
from payments.services.refunds import request_refund, send_refund
from payments.services.webhooks import delete_settled_webhook_events, process_webhook_event, receive_webhook

__all__ = [
    "cancel_payment",
    "compare_with_provider",
    "confirm_payment",
    "create_payment",
    "delete_old_comparisons",
    "delete_settled_webhook_events",
    "process_webhook_event",
    "receive_webhook",
    "reconcile_attempt",
    "record_dispute",
    "request_refund",
    "send_refund",
]
