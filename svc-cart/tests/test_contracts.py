"""What svc-cart consumes, as others write it."""

from __future__ import annotations

from shared_lib.testing.contracts import *  # noqa: F403
from tests import messages

SAMPLES = [
    messages.product_published(),
    messages.product_updated(),
    messages.product_archived(),
    messages.stock_changed(),
    messages.order_confirmed((messages.VARIANT_ID, 2)),
    messages.order_cancelled((messages.VARIANT_ID, 2), coupon_codes=["WELCOME10"]),
    messages.user_erased(),
]
