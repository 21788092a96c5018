"""Messages as other services send them, written by hand from the event catalogue."""

from __future__ import annotations

from typing import Any

USER_ID = "01938b8e-0000-7000-8000-0000000000c1"
ORDER_ID = "01938b8e-0000-7000-8000-0000000000f1"

Message = tuple[str, dict[str, Any]]


def user_registered(**changes: Any) -> Message:
    return "user.registered.v1", {"version": 1, "user_id": USER_ID, "language": "de", **changes}


def user_address_in_use() -> Message:
    return "user.address_in_use.v1", {"user_id": USER_ID}


def user_verification_requested() -> Message:
    return "user.verification_requested.v1", {"user_id": USER_ID}


def user_password_reset_requested() -> Message:
    return "user.password_reset_requested.v1", {"user_id": USER_ID}


def user_erased(**changes: Any) -> Message:
    return "user.erased.v1", {"version": 9, "user_id": USER_ID, **changes}


def order_placed(**changes: Any) -> Message:
    return "order.placed.v1", _order(expires_at="2026-11-22T18:30:00Z", **changes)


def order_confirmed(**changes: Any) -> Message:
    return "order.confirmed.v1", _order(payment_id="01938b8e-0000-7000-8000-0000000000f3", **changes)


def order_cancelled(reason: str, **changes: Any) -> Message:
    return "order.cancelled.v1", _order(reason=reason, **changes)


def order_shipped(**changes: Any) -> Message:
    return "order.shipped.v1", _order(carrier="DHL", tracking_number="JD0146", **changes)


def order_delivered() -> Message:
    return "order.delivered.v1", _order()


def order_refunded() -> Message:
    return "order.refunded.v1", {
        "version": 5,
        "order_id": ORDER_ID,
        "number": "R4K7-92QX",
        "user_id": USER_ID,
        "refund_id": "01938b8e-0000-7000-8000-0000000000f9",
        "amount": {"amount": 2500, "currency": "USD"},
    }


def order_return_rejected() -> Message:
    return "order.return_rejected.v1", {
        "version": 7,
        "order_id": ORDER_ID,
        "number": "R4K7-92QX",
        "user_id": USER_ID,
        "return_id": "01938b8e-0000-7000-8000-0000000000e9",
    }


def cart_abandoned(**changes: Any) -> Message:
    cart = {"version": 4, "cart_id": "01938b8e-0000-7000-8000-0000000000d1", "user_id": USER_ID}
    return "cart.abandoned.v1", {**cart, **changes}


def payment_attempt_failed() -> Message:
    return "payment.attempt_failed.v1", {
        "version": 2,
        "payment_id": "01938b8e-0000-7000-8000-0000000000f3",
        "order_id": ORDER_ID,
        "user_id": USER_ID,
        "amount": {"amount": 5000, "currency": "USD"},
        "provider": "sandbox",
        "failure_code": "card_declined",
    }


def _order(**more: Any) -> dict[str, Any]:
    line = {
        "line_id": "01938b8e-0000-7000-8000-0000000000f2",
        "variant_id": "01938b8e-0000-7000-8000-0000000000b1",
        "product_id": "01938b8e-0000-7000-8000-0000000000a1",
        "seller_id": "01938b8e-0000-7000-8000-0000000000e1",
        "quantity": 2,
        "unit_price": {"amount": 2000, "currency": "USD"},
    }
    return {
        "version": 2,
        "order_id": ORDER_ID,
        "number": "R4K7-92QX",
        "user_id": USER_ID,
        "cart_id": "01938b8e-0000-7000-8000-0000000000d1",
        "cart_version": 4,
        "lines": [line, {**line, "quantity": 1, "unit_price": {"amount": 1000, "currency": "USD"}}],
        "total": {"amount": 5000, "currency": "USD"},
        **more,
    }
