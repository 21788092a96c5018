"""Every write of svc-orders.

checkout      a new order, from the key to the 201; with offers (what it costs) and placing (its rows)
undoing       what a failed or crashed checkout took is given back
closing       cancelling: by the buyer, by staff, by the clock, by a newer order
payments      what svc-payments says of a payment, new payments; with payment_events
refunds       money that goes back
refunding     money that people send back
returns       goods that come back
fulfilment    parcels and delivery; picking: quantities of lines
shipping      shipping methods
shortages     stock that is missing for a paid order
history       who, when, why
transitions   the steps of an order's life that the others are made of
locks         every row lock, and their order
"""

from orders.services.checkout import Placed, place_order
from orders.services.closing import cancel_expired_orders, cancel_order
from orders.services.fulfilment import deliver_order, ship_order
from orders.services.offers import CheckoutRequest, quote_order
from orders.services.payment_events import (
    note_dispute,
    note_refund,
    note_refund_failure,
    take_payment_action,
    take_payment_canceled,
    take_payment_failure,
    take_payment_processing,
    take_payment_success,
)
from orders.services.payments import start_payment
from orders.services.refunding import refund_order
from orders.services.refunds import send_due_refunds, send_refund
from orders.services.returns import approve_return, receive_return, reject_return, request_return
from orders.services.shipping import add_shipping_method
from orders.services.shortages import take_shortage
from orders.services.undoing import forget_checkouts, settle_checkouts

__all__ = [
    "CheckoutRequest",
    "Placed",
    "add_shipping_method",
    "approve_return",
    "cancel_expired_orders",
    "cancel_order",
    "deliver_order",
    "forget_checkouts",
    "note_dispute",
    "note_refund",
    "note_refund_failure",
    "place_order",
    "quote_order",
    "receive_return",
    "refund_order",
    "reject_return",
    "request_return",
    "send_due_refunds",
    "send_refund",
    "settle_checkouts",
    "ship_order",
    "start_payment",
    "take_payment_action",
    "take_payment_canceled",
    "take_payment_failure",
    "take_payment_processing",
    "take_payment_success",
    "take_shortage",
]
