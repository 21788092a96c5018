"""What buyers see of their orders, as the public contract writes it, and what a checkout looks up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Prefetch, Q

from orders.models import (
    CheckoutSaga,
    CheckoutStep,
    Order,
    OrderHistory,
    OrderLine,
    OrderPayment,
    OrderQuerySet,
    OrderStatus,
    PaymentState,
    Shipment,
    ShipmentLine,
    ShippingMethod,
)
from orders.totals import Totals, money_document
from shared_lib.auth.users import TokenUser
from shared_lib.contracts.internal.catalog import ReservedLine
from shared_lib.exceptions import NotFound


def _money(column: str) -> str:
    return f"json_build_object('amount', {column}, 'currency', o.currency)"


def _moment(column: str) -> str:
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""


_ORDER_JSON = f"""
SELECT o.version, json_build_object(
    'id', o.id, 'number', o.number, 'status', o.status,
    'payment_status', o.payment_status, 'fulfillment_status', o.fulfillment_status,
    'lines', (
        SELECT json_agg(json_build_object(
            'variant_id', l.variant_id, 'sku', l.sku, 'name', l.name, 'quantity', l.quantity,
            'unit_price', {_money("l.unit_price_amount")}, 'line_total', {_money("l.line_total_amount")},
            'discount', {_money("l.discount_amount")}
        ) ORDER BY l.position)
        FROM orders_orderline l WHERE l.order_id = o.id
    ),
    'subtotal', {_money("o.subtotal_amount")}, 'discount', {_money("o.discount_amount")},
    'shipping', {_money("o.shipping_amount")}, 'tax', {_money("o.tax_amount")},
    'tax_included', {_money("o.tax_included_amount")}, 'total', {_money("o.total_amount")},
    'shipping_address', o.shipping_address,
    'payment', CASE WHEN p.status <> 'creating'
        THEN json_build_object('id', p.id, 'status', p.status, 'action', p.action) END,
    'expires_at', {_moment("o.expires_at")}, 'created_at', {_moment("o.created_at")},
    'history', (
        SELECT json_agg(json_build_object(
            'status', h.status, 'at', {_moment("h.at")}, 'reason', nullif(h.reason, '')
        ) ORDER BY h.id)
        FROM orders_orderhistory h WHERE h.order_id = o.id
    ),
    'coupon_codes', o.coupon_codes,
    'shipments', (
        SELECT coalesce(json_agg(json_build_object(
            'carrier', s.carrier, 'tracking_number', s.tracking_number,
            'shipped_at', {_moment("s.created_at")}, 'delivered_at', {_moment("s.delivered_at")},
            'lines', (
                SELECT coalesce(json_agg(json_build_object(
                    'variant_id', l.variant_id, 'quantity', sl.quantity
                ) ORDER BY l.position), '[]')
                FROM orders_shipmentline sl JOIN orders_orderline l ON l.id = sl.line_id WHERE sl.shipment_id = s.id
            )
        ) ORDER BY s.id), '[]')
        FROM orders_shipment s WHERE s.order_id = o.id
    )
)::text
FROM orders_order o LEFT JOIN orders_orderpayment p ON p.id = o.payment_id
WHERE o.id = %(order)s AND o.status <> 'draft' AND (o.user_id = %(user)s OR %(staff)s)
"""  # noqa: S608 - made of constants

_BOUGHT = (OrderStatus.CONFIRMED, OrderStatus.SHIPPED, OrderStatus.DELIVERED)


def shipping_methods(country: str) -> list[ShippingMethod]:
    """What can be chosen for an address in `country`, the cheapest first; none when the shop does not ship there."""
    return list(
        ShippingMethod.objects.filter(country=country, is_active=True).order_by("price_amount", "code")
    )


def orders_of(user_id: UUID) -> OrderQuerySet:
    """The user's own orders with all that a document needs, in six queries whatever their number."""
    return complete(Order.objects.placed().of(user_id))


def get_order_json(order_id: UUID, *, user: TokenUser) -> tuple[int, bytes]:
    """Version and document of an order of the user's own, of any order for staff. Raises `NotFound`.

    This is what clients poll while they wait for their payment: PostgreSQL writes the JSON, in one query. It is the
    document of `order_document`, which a test compares.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ORDER_JSON, {"order": order_id, "user": user.id, "staff": user.is_staff})
        row = cursor.fetchone()
    if row is None:
        raise NotFound("There is no such order.")
    return row[0], row[1].encode()


def earlier_orders_of_cart(cart_id: UUID, cart_version: int) -> list[UUID]:
    """Ids of orders that stand in the way of a new one: unpaid ones of this cart, and those that bought this very version of it."""
    in_the_way = Q(status=OrderStatus.AWAITING_PAYMENT) | Q(cart_version=cart_version, status__in=_BOUGHT)
    return list(Order.objects.filter(in_the_way, cart_id=cart_id).order_by("id").values_list("id", flat=True))


def has_unfinished_undoing(user_id: UUID) -> bool:
    """Whether a checkout of this user that failed still holds stock, coupons or a payment."""
    return CheckoutSaga.objects.filter(user_id=user_id, step=CheckoutStep.UNDOING).exists()


def order_document(
    order: Order,
    *,
    payment: OrderPayment | None = None,
    lines: Iterable[OrderLine] | None = None,
    history: Iterable[OrderHistory] | None = None,
    shipments: Iterable[Shipment] | None = None,
) -> dict[str, Any]:
    """The order as the public contract writes it. Parts that are not given are those of a query set of this module."""
    currency = order.currency
    payment = payment or order.payment
    lines = order.lines.all() if lines is None else lines
    history = order.history.all() if history is None else history
    shipments = order.shipments.all() if shipments is None else shipments
    return {
        "id": order.id,
        "number": order.number,
        "status": order.status,
        "payment_status": order.payment_status,
        "fulfillment_status": order.fulfillment_status,
        "lines": [
            line_document(line, line.unit_price_amount, line.discount_amount, currency) for line in lines
        ],
        "subtotal": money_document(order.subtotal_amount, currency),
        "discount": money_document(order.discount_amount, currency),
        "shipping": money_document(order.shipping_amount, currency),
        "tax": money_document(order.tax_amount, currency),
        "tax_included": money_document(order.tax_included_amount, currency),
        "total": money_document(order.total_amount, currency),
        "shipping_address": order.shipping_address,
        "payment": _payment_document(payment),
        "expires_at": time_of(order.expires_at),
        "created_at": time_of(order.created_at),
        "history": [
            {"status": row.status, "at": time_of(row.at), "reason": row.reason or None} for row in history
        ],
        "coupon_codes": order.coupon_codes,
        "shipments": [shipment_document(shipment) for shipment in shipments],
    }


def quote_document(lines: Sequence[ReservedLine], totals: Totals, *, cart_version: int) -> dict[str, Any]:
    """What `POST /orders` would make now; `cart_version` and `total` can be sent with it."""
    return {
        "lines": [
            line_document(line, line.unit_price.amount, discount, totals.currency)
            for line, discount in zip(lines, totals.line_discounts, strict=True)
        ],
        **totals.document(),
        "coupon_codes": list(totals.coupon_codes),
        "cart_version": cart_version,
    }


def complete(orders: OrderQuerySet) -> OrderQuerySet:
    return orders.select_related("payment").prefetch_related(
        Prefetch("lines", OrderLine.objects.order_by("position")),
        Prefetch("history", OrderHistory.objects.order_by("id")),
        Prefetch("shipments", Shipment.objects.order_by("id")),
        Prefetch("shipments__lines", ShipmentLine.objects.select_related("line").order_by("line__position")),
    )


def line_document(
    line: OrderLine | ReservedLine, unit_price: int, discount: int, currency: str
) -> dict[str, Any]:
    """`line_total` is before the line's `discount`."""
    return {
        "variant_id": line.variant_id,
        "sku": line.sku,
        "name": line.name,
        "quantity": line.quantity,
        "unit_price": money_document(unit_price, currency),
        "line_total": money_document(unit_price * line.quantity, currency),
        "discount": money_document(discount, currency),
    }


def shipment_document(shipment: Shipment) -> dict[str, Any]:
    return {
        "carrier": shipment.carrier,
        "tracking_number": shipment.tracking_number,
        "shipped_at": time_of(shipment.created_at),
        "delivered_at": time_of(shipment.delivered_at),
        "lines": [
            {"variant_id": row.line.variant_id, "quantity": row.quantity} for row in shipment.lines.all()
        ],
    }


def _payment_document(payment: OrderPayment | None) -> dict[str, Any] | None:
    """A payment that svc-payments has not confirmed yet is none."""
    if payment is None or payment.status == PaymentState.CREATING:
        return None
    return {"id": payment.id, "status": payment.status, "action": payment.action}


def time_of(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the millisecond."""
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
