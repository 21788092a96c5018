"""Events that svc-orders publishes."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

import msgspec

from shared_lib.contracts.events.base import AggregateEvent
from shared_lib.contracts.moment import Moment
from shared_lib.money import Money

PRODUCER = "svc-orders"


class OrderLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    line_id: UUID
    variant_id: UUID
    product_id: UUID
    seller_id: UUID
    quantity: int
    unit_price: Money


class OrderState(AggregateEvent, frozen=True, kw_only=True, omit_defaults=True):
    """An order as others need it. `cart_version` is the version of the cart that was ordered."""

    order_id: UUID
    number: str
    user_id: UUID
    cart_id: UUID
    cart_version: int
    lines: list[OrderLine]
    total: Money
    coupon_codes: list[str] = []


class OrderPlaced(OrderState, frozen=True, kw_only=True, omit_defaults=True):
    event_type: ClassVar[str] = "order.placed.v1"
    producer: ClassVar[str] = PRODUCER
    expires_at: Moment


class OrderConfirmed(OrderState, frozen=True, kw_only=True, omit_defaults=True):
    """The order is paid. Catalog turns its reservation into a sale, cart subtracts the ordered quantities."""

    event_type: ClassVar[str] = "order.confirmed.v1"
    producer: ClassVar[str] = PRODUCER
    payment_id: UUID


class OrderCancelled(OrderState, frozen=True, kw_only=True, omit_defaults=True):
    """`reason`: `buyer`, `expired`, `replaced`, `staff`, `out_of_stock`. `was_confirmed`: the stock had been sold already."""

    event_type: ClassVar[str] = "order.cancelled.v1"
    producer: ClassVar[str] = PRODUCER
    reason: str
    was_confirmed: bool = False


class OrderShipped(OrderState, frozen=True, kw_only=True, omit_defaults=True):
    event_type: ClassVar[str] = "order.shipped.v1"
    producer: ClassVar[str] = PRODUCER
    carrier: str
    tracking_number: str


class OrderDelivered(OrderState, frozen=True, kw_only=True, omit_defaults=True):
    event_type: ClassVar[str] = "order.delivered.v1"
    producer: ClassVar[str] = PRODUCER


class OrderReturnReceived(AggregateEvent, frozen=True, kw_only=True, omit_defaults=True):
    """`lines`: what came back and may be sold again."""

    event_type: ClassVar[str] = "order.return_received.v1"
    producer: ClassVar[str] = PRODUCER
    order_id: UUID
    number: str
    user_id: UUID
    return_id: UUID
    lines: list[OrderLine]


class OrderReturnRejected(AggregateEvent, frozen=True, kw_only=True, omit_defaults=True):
    """The shop does not take the goods back. The reason stands at the return: it is free text and not told here."""

    event_type: ClassVar[str] = "order.return_rejected.v1"
    producer: ClassVar[str] = PRODUCER
    order_id: UUID
    number: str
    user_id: UUID
    return_id: UUID


class OrderRefunded(AggregateEvent, frozen=True, kw_only=True, omit_defaults=True):
    event_type: ClassVar[str] = "order.refunded.v1"
    producer: ClassVar[str] = PRODUCER
    order_id: UUID
    number: str
    user_id: UUID
    refund_id: UUID
    amount: Money
