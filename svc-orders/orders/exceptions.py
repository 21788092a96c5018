"""Domain errors of svc-orders. What only the domain can judge of one field is the shared `InvalidValue`: 422."""

from __future__ import annotations

from typing import Any

from shared_lib.exceptions import DomainError


class EmptyCart(DomainError):
    status = 422
    code = "empty_cart"
    title = "The cart is empty"


class AddressNotServed(DomainError):
    status = 422
    code = "address_not_served"
    title = "The shop does not ship to this country"


class CartChanged(DomainError):
    """409 with `cart_version`: the cart as it is now."""

    code = "cart_changed"
    title = "The cart is not the one that was to be ordered"

    def __init__(self, detail: str = "", *, cart_version: int) -> None:
        super().__init__(detail, cart_version=cart_version)


class PriceChanged(DomainError):
    """409 with the totals that the order would have now."""

    code = "price_changed"
    title = "The total is not the expected one"

    def __init__(self, totals: dict[str, Any]) -> None:
        super().__init__(**totals)


class OutOfStock(DomainError):
    """409 with `lines`: `{variant_id, requested, available}` for each line that falls short."""

    code = "out_of_stock"
    title = "There is not enough stock"

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        super().__init__(lines=lines)


class CouponNotApplicable(DomainError):
    """422 with `coupon` (its code) and `reason` (a word of svc-cart): the buyer goes on by taking it out of the cart."""

    status = 422
    code = "coupon_not_applicable"
    title = "A coupon of this cart cannot be used"

    def __init__(self, detail: str, *, coupon: str, reason: str) -> None:
        super().__init__(detail, coupon=coupon, reason=reason)


class CheckoutInProgress(DomainError):
    """Another checkout of the same buyer, under another key, is running: one at a time."""

    code = "checkout_in_progress"
    title = "Another checkout of yours is running"

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": "1"}


class PaymentInProgress(DomainError):
    """409 with `order_id`: this very cart is being paid in an earlier order, which can no longer be replaced."""

    code = "payment_in_progress"
    title = "An earlier order of this cart is being paid"

    def __init__(self, *, order_id: str) -> None:
        super().__init__(order_id=order_id)


class OrderNotPayable(DomainError):
    code = "order_not_payable"
    title = "The order cannot be paid"


class OrderNotCancellable(DomainError):
    code = "order_not_cancellable"
    title = "The order cannot be cancelled"


class OrderNotShippable(DomainError):
    code = "order_not_shippable"
    title = "The order cannot be shipped"


class OrderNotDeliverable(DomainError):
    code = "order_not_deliverable"
    title = "The order has not been shipped"


class LinesNotShippable(DomainError):
    """409 with `lines`: `{variant_id, requested, left}` for each line of which not so much is left to be shipped."""

    code = "lines_not_shippable"
    title = "Not so much of these lines is left to be shipped"

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        super().__init__(lines=lines)


class OrderNotRefundable(DomainError):
    code = "order_not_refundable"
    title = "There is no money of this order to be paid back"


class RefundExceedsPayment(DomainError):
    """409 with `refundable`: what is left to be paid back."""

    code = "refund_exceeds_payment"
    title = "More than is left of the payment cannot be paid back"

    def __init__(self, refundable: dict[str, Any]) -> None:
        super().__init__(refundable=refundable)


class LinesNotRefundable(DomainError):
    """409 with `lines`: `{variant_id, requested, left}` for each line of which not so much is left to be paid back."""

    code = "lines_not_refundable"
    title = "Not so much of these lines is left to be paid back"

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        super().__init__(lines=lines)


class OrderNotReturnable(DomainError):
    code = "order_not_returnable"
    title = "The order cannot be returned"


class LinesNotReturnable(DomainError):
    """409 with `lines`: `{variant_id, requested, left}` for each line of which not so much can be sent back."""

    code = "lines_not_returnable"
    title = "Not so much of these lines can be sent back"

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        super().__init__(lines=lines)


class ReturnNotApprovable(DomainError):
    code = "return_not_approvable"
    title = "The return cannot be approved"


class ReturnNotReceivable(DomainError):
    code = "return_not_receivable"
    title = "The return cannot be received"


class ReturnNotRejectable(DomainError):
    code = "return_not_rejectable"
    title = "The return cannot be rejected"


class InvoiceNotAvailable(DomainError):
    code = "invoice_not_available"
    title = "There is no invoice before the order is confirmed"


class ForeignAmount(ValueError):
    """Another service sent an amount in a currency, or of a size, that this order does not have."""
