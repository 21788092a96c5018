"""Domain errors of svc-cart. Beyond a limit (99 of a line, 100 lines) the shared `InvalidValue` is raised: 422."""

from __future__ import annotations

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
