"""What users are told about the events of others."""

from __future__ import annotations

from typing import Any

import msgspec

from notifications import services
from notifications.kinds import Kind
from shared_lib.contracts.events import (
    CartAbandoned,
    OrderCancelled,
    OrderConfirmed,
    OrderDelivered,
    OrderPlaced,
    OrderRefunded,
    OrderReturnRejected,
    OrderShipped,
    OrderState,
    PaymentAttemptFailed,
    UserAddressInUse,
    UserErased,
    UserPasswordResetRequested,
    UserRegistered,
    UserVerificationRequested,
)
from shared_lib.events import EventHandlers, current_event_id


def on_user_registered(event: UserRegistered) -> None:
    services.notify(user_id=event.user_id, kind=Kind.WELCOME, event_id=current_event_id())


def on_address_in_use(event: UserAddressInUse) -> None:
    services.notify(user_id=event.user_id, kind=Kind.ADDRESS_IN_USE, event_id=current_event_id())


def on_verification_requested(event: UserVerificationRequested) -> None:
    services.notify(user_id=event.user_id, kind=Kind.VERIFY_EMAIL, event_id=current_event_id())


def on_password_reset_requested(event: UserPasswordResetRequested) -> None:
    services.notify(user_id=event.user_id, kind=Kind.PASSWORD_RESET, event_id=current_event_id())


def on_user_erased(event: UserErased) -> None:
    services.erase_user(user_id=event.user_id)


def on_order_placed(event: OrderPlaced) -> None:
    _tell(event, Kind.ORDER_PLACED, **_free(event))


def on_order_confirmed(event: OrderConfirmed) -> None:
    _tell(event, Kind.ORDER_CONFIRMED, **_free(event))


def on_order_cancelled(event: OrderCancelled) -> None:
    """An order that the buyer's next one replaced is no news: the inbox shows it, no mail is sent."""
    _tell(
        event,
        Kind.ORDER_CANCELLED,
        by_email=event.reason != "replaced",
        reason=event.reason,
        money_back=event.was_confirmed and event.reason != "out_of_stock" and event.total.amount > 0,
    )


def on_order_shipped(event: OrderShipped) -> None:
    _tell(event, Kind.ORDER_SHIPPED, carrier=event.carrier, tracking_number=event.tracking_number)


def on_order_delivered(event: OrderDelivered) -> None:
    _tell(event, Kind.ORDER_DELIVERED)


def on_order_refunded(event: OrderRefunded) -> None:
    data = {
        "order_id": str(event.order_id),
        "number": event.number,
        "refund_id": str(event.refund_id),
        "amount": msgspec.to_builtins(event.amount),
    }
    services.notify(user_id=event.user_id, kind=Kind.ORDER_REFUNDED, event_id=current_event_id(), data=data)


def on_order_return_rejected(event: OrderReturnRejected) -> None:
    """Why stands at the return, where the buyer reads it: free text of people is not in the event."""
    data = {
        "order_id": str(event.order_id),
        "number": event.number,
        "return_id": str(event.return_id),
    }
    services.notify(
        user_id=event.user_id, kind=Kind.ORDER_RETURN_REJECTED, event_id=current_event_id(), data=data
    )


def on_cart_abandoned(event: CartAbandoned) -> None:
    services.remind_of_cart(
        user_id=event.user_id, cart_id=event.cart_id, version=event.version, event_id=current_event_id()
    )


def on_payment_attempt_failed(event: PaymentAttemptFailed) -> None:
    data = {
        "order_id": str(event.order_id),
        "payment_id": str(event.payment_id),
        "amount": msgspec.to_builtins(event.amount),
        "failure_code": event.failure_code,
    }
    services.notify(
        user_id=event.user_id, kind=Kind.PAYMENT_ATTEMPT_FAILED, event_id=current_event_id(), data=data
    )


def _free(event: OrderState) -> dict[str, Any]:
    """An order that costs nothing waits for no payment and has words of its own."""
    return {} if event.total.amount else {"reason": "free"}


def _tell(event: OrderState, kind: Kind, *, by_email: bool = True, **more: Any) -> None:
    data = {
        "order_id": str(event.order_id),
        "number": event.number,
        "item_count": sum(line.quantity for line in event.lines),
        "total": msgspec.to_builtins(event.total),
        **more,
    }
    services.notify(
        user_id=event.user_id, kind=kind, event_id=current_event_id(), data=data, by_email=by_email
    )


EVENT_HANDLERS: EventHandlers = {
    UserRegistered: on_user_registered,
    UserAddressInUse: on_address_in_use,
    UserVerificationRequested: on_verification_requested,
    UserPasswordResetRequested: on_password_reset_requested,
    UserErased: on_user_erased,
    OrderPlaced: on_order_placed,
    OrderConfirmed: on_order_confirmed,
    OrderCancelled: on_order_cancelled,
    OrderShipped: on_order_shipped,
    OrderDelivered: on_order_delivered,
    OrderRefunded: on_order_refunded,
    OrderReturnRejected: on_order_return_rejected,
    PaymentAttemptFailed: on_payment_attempt_failed,
    CartAbandoned: on_cart_abandoned,
}
