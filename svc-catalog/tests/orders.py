"""What svc-orders asks for and tells, for tests of services."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from catalog.models import Variant
from catalog.services.settlement import settle_orders
from shared_lib.contracts.events import OrderCancelled, OrderConfirmed, OrderLine, OrderReturnReceived
from shared_lib.contracts.internal.catalog import ReservationLineRequest
from shared_lib.money import Money
from tests.factories import SELLER, new_id

_PRICE = Money(1999, "USD")


def ask(*wanted: tuple[Variant, int]) -> list[ReservationLineRequest]:
    return [ReservationLineRequest(variant_id=variant.pk, quantity=quantity) for variant, quantity in wanted]


def ordered(*wanted: tuple[Variant, int]) -> list[OrderLine]:
    return [
        OrderLine(
            line_id=new_id(),
            variant_id=variant.pk,
            product_id=variant.product_id,
            seller_id=SELLER,
            quantity=quantity,
            unit_price=_PRICE,
        )
        for variant, quantity in wanted
    ]


def confirmed(order_id: UUID, version: int, lines: Iterable[OrderLine]) -> OrderConfirmed:
    return OrderConfirmed(
        version=version,
        order_id=order_id,
        number="7K3M-Q2XD",
        user_id=new_id(),
        cart_id=new_id(),
        cart_version=4,
        lines=list(lines),
        total=_PRICE,
        payment_id=new_id(),
    )


def cancelled(order_id: UUID, version: int) -> OrderCancelled:
    return OrderCancelled(
        version=version,
        order_id=order_id,
        number="7K3M-Q2XD",
        user_id=new_id(),
        cart_id=new_id(),
        cart_version=4,
        lines=[],
        total=_PRICE,
        reason="buyer",
    )


def returned(
    return_id: UUID, order_id: UUID, version: int, lines: Iterable[OrderLine]
) -> OrderReturnReceived:
    return OrderReturnReceived(
        version=version,
        order_id=order_id,
        number="7K3M-Q2XD",
        user_id=new_id(),
        return_id=return_id,
        lines=list(lines),
    )


def sell_reservation(*, order_id: UUID, order_version: int, lines: Iterable[OrderLine]) -> None:
    settle_orders(facts=[confirmed(order_id, order_version, lines)])


def cancel_reservation(*, order_id: UUID, order_version: int) -> None:
    settle_orders(facts=[cancelled(order_id, order_version)])
