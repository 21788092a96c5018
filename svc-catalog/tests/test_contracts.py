"""What svc-catalog consumes, as others write it, and whom it lets in."""

from __future__ import annotations

from shared_lib.testing.contracts import *  # noqa: F403
from tests import messages

_VARIANT, _PRODUCT = "01a2047f-0000-7000-8000-000000000007", "01a2047f-0000-7000-8000-000000000008"
_LINE = messages.line(_VARIANT, _PRODUCT, 2)

SAMPLES = [
    messages.product("product.published.v1"),
    messages.product("product.updated.v1"),
    messages.PRODUCT_ARCHIVED,
    messages.STOCK_CHANGED,
    messages.order_confirmed(2, _LINE),
    messages.order_cancelled(3, _LINE, was_confirmed=True),
    messages.return_received(4, _LINE),
]
