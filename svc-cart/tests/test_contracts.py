"""What svc-cart consumes, as others write it."""

from __future__ import annotations

from shared_lib.testing.contracts import (  # noqa: F401
    test_every_sample_is_read_to_its_last_field_by_the_inbox,
    test_every_subscription_has_a_sample_written_by_hand,
)
from tests import messages

SAMPLES = [
    messages.product_published(),
    messages.product_updated(),
    messages.product_archived(),
    messages.stock_changed(),
    messages.order_confirmed((messages.VARIANT_ID, 2)),
    messages.user_erased(),
]
