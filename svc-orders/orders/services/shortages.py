"""Stock that is missing for an order that was paid."""

from __future__ import annotations

import structlog
from django.db import transaction

from orders.models import CancelReason, FulfillmentStatus, OrderStatus
from orders.services.locks import lock_order_or_draft
from orders.services.transitions import cancel
from shared_lib.contracts.events import StockShortage
from shared_lib.failpoints import around

logger = structlog.get_logger(__name__)


@around("event.shortage")
@transaction.atomic
def take_shortage(event: StockShortage) -> None:
    """The money came so late that the stock was gone: the order is cancelled and the money goes back by itself.

    An order that was cancelled or has left the house meanwhile stays as it is. Raises `LookupError` for an order that was
    never confirmed here, since svc-catalog asks for stock again only when it has heard of the confirmation.
    """
    order = lock_order_or_draft(event.order_id)
    if order is None or order.status in (OrderStatus.DRAFT, OrderStatus.AWAITING_PAYMENT):
        raise LookupError(f"order {event.order_id} is not confirmed here, stock cannot be missing for it")
    if order.status == OrderStatus.CONFIRMED and order.fulfillment_status == FulfillmentStatus.UNFULFILLED:
        cancel(order, reason=CancelReason.OUT_OF_STOCK, who=None)
    elif order.status != OrderStatus.CANCELLED:
        logger.error("stock_missing_for_shipped_order", order=str(order.id), status=order.status)
