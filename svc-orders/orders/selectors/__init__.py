"""Every read of svc-orders, scoped to who asks.

orders    what buyers see, and what a checkout looks up
staff     what staff and sellers see
returns   goods that come back, refunds
invoices  documents for the buyer's books
"""

from orders.selectors.invoices import get_credit_note, get_invoice
from orders.selectors.orders import (
    earlier_orders_of_cart,
    get_order_json,
    has_unfinished_undoing,
    order_document,
    orders_of,
    quote_document,
    shipping_methods,
)
from orders.selectors.returns import get_return, refund_document, return_document, returns_of
from orders.selectors.staff import get_order_for, orders_for, staff_document

__all__ = [
    "earlier_orders_of_cart",
    "get_credit_note",
    "get_invoice",
    "get_order_for",
    "get_order_json",
    "get_return",
    "has_unfinished_undoing",
    "order_document",
    "orders_for",
    "orders_of",
    "quote_document",
    "refund_document",
    "return_document",
    "returns_of",
    "shipping_methods",
    "staff_document",
]
