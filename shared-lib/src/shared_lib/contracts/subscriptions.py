"""Which service acts on which events: the static half of the topology of RabbitMQ.

Both sides declare queues and bindings from this table, so that a producer that is deployed first loses nothing of a
consumer that comes later. A service's `EVENT_HANDLERS` has exactly the types of its row (a system check compares them):
to consume an event, add it here first, release, then add the handler.
"""

from __future__ import annotations

from shared_lib.contracts.events import (
    CONTRACTS,
    CartAbandoned,
    Event,
    OrderCancelled,
    OrderConfirmed,
    OrderDelivered,
    OrderPlaced,
    OrderRefunded,
    OrderReturnReceived,
    OrderReturnRejected,
    OrderShipped,
    PaymentActionRequired,
    PaymentAttemptFailed,
    PaymentCanceled,
    PaymentDisputed,
    PaymentProcessing,
    PaymentRefunded,
    PaymentRefundFailed,
    PaymentSucceeded,
    ProductArchived,
    ProductPublished,
    ProductUpdated,
    SessionRevoked,
    StockChanged,
    StockShortage,
    UserAddressInUse,
    UserErased,
    UserPasswordResetRequested,
    UserRegistered,
    UserVerificationRequested,
)

SUBSCRIPTIONS: dict[str, tuple[type[Event], ...]] = {
    "svc-accounts": (SessionRevoked,),
    "svc-catalog": (
        ProductPublished,
        ProductUpdated,
        ProductArchived,
        StockChanged,
        OrderConfirmed,
        OrderCancelled,
        OrderReturnReceived,
    ),
    "svc-cart": (
        ProductPublished,
        ProductUpdated,
        ProductArchived,
        StockChanged,
        OrderConfirmed,
        OrderCancelled,
        UserErased,
    ),
    "svc-orders": (
        PaymentProcessing,
        PaymentActionRequired,
        PaymentSucceeded,
        PaymentCanceled,
        PaymentAttemptFailed,
        PaymentRefunded,
        PaymentRefundFailed,
        PaymentDisputed,
        StockShortage,
    ),
    "svc-payments": (),
    "svc-notifications": (
        UserRegistered,
        UserAddressInUse,
        UserVerificationRequested,
        UserPasswordResetRequested,
        UserErased,
        OrderPlaced,
        OrderConfirmed,
        OrderCancelled,
        OrderShipped,
        OrderDelivered,
        OrderRefunded,
        OrderReturnRejected,
        PaymentAttemptFailed,
        CartAbandoned,
    ),
}


def subscribed_types(service: str) -> frozenset[str]:
    """The event types that `service` consumes, as `order.confirmed.v1`."""
    return frozenset(contract.event_type for contract in SUBSCRIPTIONS[service])


def subscribers(event_type: str) -> tuple[str, ...]:
    """The services that consume `event_type`; empty when nobody does."""
    return tuple(service for service in SUBSCRIPTIONS if event_type in subscribed_types(service))


def produced_types(service: str) -> frozenset[str]:
    """The event types that only `service` may publish."""
    return frozenset(name for name, contract in CONTRACTS.items() if contract.producer == service)
