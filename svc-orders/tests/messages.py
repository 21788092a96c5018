"""Messages as svc-payments and svc-catalog send them, written by hand from the event catalogue."""

from __future__ import annotations

from typing import Any

Message = tuple[str, dict[str, Any]]


def payment_processing(payment: dict[str, Any], **changes: Any) -> Message:
    return "payment.processing.v1", _payment(payment, **changes)


def payment_succeeded(payment: dict[str, Any], **changes: Any) -> Message:
    return "payment.succeeded.v1", _payment(payment, provider_reference="sb_pi_8Zk2", **changes)


def payment_canceled(payment: dict[str, Any], **changes: Any) -> Message:
    return "payment.canceled.v1", _payment(payment, **changes)


def payment_attempt_failed(payment: dict[str, Any], **changes: Any) -> Message:
    return "payment.attempt_failed.v1", _payment(payment, failure_code="card_declined", **changes)


def payment_refunded(
    payment: dict[str, Any], *, refund_id: object, amount: int, total: int, **changes: Any
) -> Message:
    more = {
        "refund_id": str(refund_id),
        "refund_amount": {"amount": amount, "currency": "USD"},
        "refunded_total": {"amount": total, "currency": "USD"},
    }
    return "payment.refunded.v1", _payment(payment, **more, **changes)


def payment_action_required(payment: dict[str, Any], **changes: Any) -> Message:
    return "payment.action_required.v1", _payment(payment, **changes)


def payment_refund_failed(
    payment: dict[str, Any], *, refund_id: object, amount: int, **changes: Any
) -> Message:
    more = {
        "refund_id": str(refund_id),
        "refund_amount": {"amount": amount, "currency": "USD"},
        "failure_code": "expired_or_canceled_card",
    }
    return "payment.refund_failed.v1", _payment(payment, **more, **changes)


def stock_shortage(order_id: object, variant_id: object, missing: int = 1) -> Message:
    line = {
        "variant_id": str(variant_id),
        "product_id": "01938b8e-0000-7000-8000-0000000000c1",
        "missing": missing,
    }
    return "stock.shortage.v1", {"order_id": str(order_id), "lines": [line]}


def payment_disputed(payment: dict[str, Any], **changes: Any) -> Message:
    return "payment.disputed.v1", _payment(payment, reason="fraudulent", **changes)


def _payment(payment: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """`payment` as `GET /internal/v1/payments/{id}` shows it."""
    return {
        "version": payment["version"],
        "payment_id": payment["id"],
        "order_id": payment["order_id"],
        "user_id": payment["user_id"],
        "amount": payment["amount"],
        "provider": "sandbox",
        **changes,
    }
