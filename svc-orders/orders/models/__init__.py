"""The tables of svc-orders.

states     all states, and the machines between them
orders     orders, lines, history
money      payments, refunds
parcels    shipments, returns
shipping   ways to ship
checkout   the saga that makes an order
"""

from orders.models.checkout import CheckoutSaga
from orders.models.money import OrderPayment, Refund, RefundLine
from orders.models.orders import Order, OrderHistory, OrderLine, OrderQuerySet
from orders.models.parcels import Return, ReturnLine, Shipment, ShipmentLine
from orders.models.shipping import ShippingMethod
from orders.models.states import (
    CHECKOUT_TRANSITIONS,
    MACHINES,
    ORDER_TRANSITIONS,
    PAYABLE_STATES,
    REFUND_TRANSITIONS,
    RETURN_TRANSITIONS,
    RUNNING_STEPS,
    UNFINISHED_STEPS,
    CancelReason,
    CheckoutStep,
    FulfillmentStatus,
    HistoryRemark,
    OrderStatus,
    PaymentState,
    PaymentStatus,
    RefundStatus,
    ReturnStatus,
    Transition,
    draw,
)

__all__ = [
    "CHECKOUT_TRANSITIONS",
    "MACHINES",
    "ORDER_TRANSITIONS",
    "PAYABLE_STATES",
    "REFUND_TRANSITIONS",
    "RETURN_TRANSITIONS",
    "RUNNING_STEPS",
    "UNFINISHED_STEPS",
    "CancelReason",
    "CheckoutSaga",
    "CheckoutStep",
    "FulfillmentStatus",
    "HistoryRemark",
    "Order",
    "OrderHistory",
    "OrderLine",
    "OrderPayment",
    "OrderQuerySet",
    "OrderStatus",
    "PaymentState",
    "PaymentStatus",
    "Refund",
    "RefundLine",
    "RefundStatus",
    "Return",
    "ReturnLine",
    "ReturnStatus",
    "Shipment",
    "ShipmentLine",
    "ShippingMethod",
    "Transition",
    "draw",
]
