"""What svc-notifications consumes, as others write it, and whom it lets in."""

from __future__ import annotations

from shared_lib.testing.contracts import *  # noqa: F403
from tests import messages

SAMPLES = [
    messages.user_registered(),
    messages.user_address_in_use(),
    messages.user_verification_requested(),
    messages.user_password_reset_requested(),
    messages.user_erased(),
    messages.order_placed(),
    messages.order_confirmed(),
    messages.order_cancelled("buyer", was_confirmed=True),
    messages.order_shipped(),
    messages.order_delivered(),
    messages.order_refunded(),
    messages.order_return_rejected(),
    messages.payment_attempt_failed(),
    messages.cart_abandoned(),
]
