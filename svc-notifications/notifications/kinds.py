"""What users are told, and by which way."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Kind(StrEnum):
    WELCOME = "welcome"
    ADDRESS_IN_USE = "address_in_use"
    VERIFY_EMAIL = "verify_email"
    PASSWORD_RESET = "password_reset"
    ORDER_PLACED = "order_placed"
    ORDER_CONFIRMED = "order_confirmed"
    ORDER_CANCELLED = "order_cancelled"
    ORDER_SHIPPED = "order_shipped"
    ORDER_DELIVERED = "order_delivered"
    ORDER_REFUNDED = "order_refunded"
    ORDER_RETURN_REJECTED = "order_return_rejected"
    PAYMENT_ATTEMPT_FAILED = "payment_attempt_failed"
    CART_REMINDER = "cart_reminder"


@dataclass(frozen=True, slots=True)
class Ways:
    """How a kind reaches its user, and where the button of its mail leads.

    `link`: the mail carries a one-time link of svc-accounts for that purpose. `page`: otherwise a page of the storefront,
    with fields of the notification's data in braces.
    """

    in_app: bool = False
    email: bool = False
    page: str = "/"
    link: Literal["verify_email", "reset_password"] | None = None


_ORDER = "/orders/{order_id}"

WAYS: dict[Kind, Ways] = {
    Kind.WELCOME: Ways(email=True, link="verify_email"),
    Kind.ADDRESS_IN_USE: Ways(email=True, page="/login"),
    Kind.VERIFY_EMAIL: Ways(email=True, link="verify_email"),
    Kind.PASSWORD_RESET: Ways(email=True, link="reset_password"),
    Kind.ORDER_PLACED: Ways(in_app=True, page=_ORDER),
    Kind.ORDER_CONFIRMED: Ways(in_app=True, email=True, page=_ORDER),
    Kind.ORDER_CANCELLED: Ways(in_app=True, email=True, page=_ORDER),
    Kind.ORDER_SHIPPED: Ways(in_app=True, email=True, page=_ORDER),
    Kind.ORDER_DELIVERED: Ways(in_app=True, email=True, page=_ORDER),
    Kind.ORDER_REFUNDED: Ways(in_app=True, email=True, page=_ORDER),
    Kind.ORDER_RETURN_REJECTED: Ways(in_app=True, email=True, page=_ORDER),
    Kind.PAYMENT_ATTEMPT_FAILED: Ways(in_app=True, page=_ORDER),
    Kind.CART_REMINDER: Ways(email=True, page="/cart"),
}
