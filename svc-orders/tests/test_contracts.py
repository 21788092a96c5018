"""What svc-orders consumes, as others write it, and whom it lets in."""

from __future__ import annotations

from shared_lib.testing.contracts import *  # noqa: F403
from tests import messages

_PAYMENT = {
    "id": "01938b8e-0000-7000-8000-0000000000f3",
    "order_id": "01938b8e-0000-7000-8000-0000000000f1",
    "user_id": "01938b8e-0000-7000-8000-0000000000c1",
    "version": 3,
    "amount": {"amount": 5000, "currency": "USD"},
}

SAMPLES = [
    messages.payment_processing(_PAYMENT),
    messages.payment_succeeded(_PAYMENT),
    messages.payment_canceled(_PAYMENT),
    messages.payment_attempt_failed(_PAYMENT),
    messages.payment_refunded(
        _PAYMENT, refund_id="01938b8e-0000-7000-8000-0000000000f9", amount=2000, total=2500
    ),
    messages.payment_action_required(_PAYMENT),
    messages.payment_refund_failed(_PAYMENT, refund_id="01938b8e-0000-7000-8000-0000000000f9", amount=2000),
    messages.payment_disputed(_PAYMENT),
    messages.stock_shortage(
        "01938b8e-0000-7000-8000-0000000000f1", "01938b8e-0000-7000-8000-0000000000a1", missing=2
    ),
]
