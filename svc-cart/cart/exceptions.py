"""Domain errors of svc-cart. Beyond a limit (99 of a line, 100 lines) the shared `InvalidValue` is raised: 422."""

from __future__ import annotations

from typing import Any

from cart.discounts import Reason
from shared_lib.exceptions import DomainError, NotFound


class VariantNotFound(NotFound):
    code = "variant_not_found"
    title = "There is no such variant for sale"


class LineNotFound(NotFound):
    code = "line_not_found"
    title = "There is no such line in the cart"


class WishlistItemNotFound(NotFound):
    code = "wishlist_item_not_found"
    title = "There is no such item on the wish list"


class InsufficientStock(DomainError):
    """409 with `available`: the units that can be had, in all, at this moment."""

    code = "insufficient_stock"
    title = "There is not enough stock"

    def __init__(self, *, available: int) -> None:
        super().__init__(f"Only {available} available.", available=available)


class ForeignCurrency(ValueError):
    """The catalog sent a price that is not in the shop's currency; totals could not be added up."""


class CouponNotFound(NotFound):
    code = "coupon_not_found"
    title = "There is no such coupon"


class CouponCodeTaken(DomainError):
    code = "coupon_code_taken"
    title = "Another coupon has this code"


class CouponNotApplicable(DomainError):
    """422 with `reason`, a word of `cart.discounts.Reason`. `minimum_not_met` comes with `minimum` (Money)."""

    status = 422
    code = "coupon_not_applicable"
    title = "This coupon cannot be used"

    def __init__(self, reason: Reason, **extra: Any) -> None:
        super().__init__(_DETAILS[reason], reason=reason.value, **extra)


class CouponUseRefused(CouponNotApplicable):
    """The same for an order: 409, since what was shown a moment ago has changed."""

    status = 409


class CouponUseClosed(DomainError):
    code = "coupon_use_closed"
    title = "This order has given its coupons back and can use none any more"


_DETAILS = {
    Reason.UNKNOWN: "There is no such coupon.",
    Reason.STOPPED: "This coupon is not valid any more.",
    Reason.NOT_STARTED: "This coupon is not valid yet.",
    Reason.EXPIRED: "This coupon has expired.",
    Reason.LIMIT_REACHED: "This coupon has been used up.",
    Reason.USER_LIMIT_REACHED: "You have used this coupon as often as you may.",
    Reason.TOO_MANY: "There are as many coupons in this cart as it can hold.",
    Reason.NOT_COMBINABLE: "This coupon cannot be combined with another one in this cart.",
    Reason.NO_MATCHING_LINES: "There is nothing in this cart that the coupon is for.",
    Reason.MINIMUM_NOT_MET: "What the coupon is for costs less than it asks for.",
}
