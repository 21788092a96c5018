"""Errors of this domain. Codes are part of the public contract."""

from __future__ import annotations

from shared_lib.exceptions import DomainError, NotFound


class ProductNotFound(NotFound):
    title = "No such product"


class VariantNotFound(NotFound):
    code = "variant_not_found"
    title = "No such variant"


class InsufficientStock(DomainError):
    """Less would remain than is reserved. `available` is what could be taken."""

    code = "insufficient_stock"
    title = "There is not enough in stock"


class OutOfStock(DomainError):
    """Some lines cannot be held. `lines`: `[{variant_id, requested, available}]`, only those that fall short."""

    code = "out_of_stock"
    title = "Not everything is available in this quantity"


class ReservationClosed(DomainError):
    """The order's reservation was sold or released; it cannot be taken or undone again."""

    code = "reservation_closed"
    title = "The reservation of this order is closed"
