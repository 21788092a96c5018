"""Events as their producers write them, by hand: what the catalog consumes must stay readable for it."""

from __future__ import annotations

from typing import Any

ORDER = "01a2047f-0000-7000-8000-000000000001"
RETURN = "01a2047f-0000-7000-8000-000000000002"
USER = "01a2047f-0000-7000-8000-000000000003"
CART = "01a2047f-0000-7000-8000-000000000004"
PAYMENT = "01a2047f-0000-7000-8000-000000000005"
SELLER = "5ca1ab1e-0000-7000-8000-000000000001"


def line(variant_id: object, product_id: object, quantity: int) -> dict[str, Any]:
    return {
        "line_id": "01a2047f-0000-7000-8000-000000000006",
        "variant_id": str(variant_id),
        "product_id": str(product_id),
        "seller_id": SELLER,
        "quantity": quantity,
        "unit_price": {"amount": 1999, "currency": "USD"},
    }


def order(version: int, lines: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "version": version,
        "order_id": ORDER,
        "number": "7K3M-Q2XD",
        "user_id": USER,
        "cart_id": CART,
        "cart_version": 4,
        "lines": lines,
        "total": {"amount": 4498, "currency": "USD"},
        **more,
    }


def order_confirmed(version: int, *lines: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "order.confirmed.v1", order(version, list(lines), payment_id=PAYMENT)


def order_cancelled(version: int, *lines: dict[str, Any], was_confirmed: bool) -> tuple[str, dict[str, Any]]:
    more = {"was_confirmed": True} if was_confirmed else {}
    return "order.cancelled.v1", order(version, list(lines), reason="buyer", **more)


def return_received(version: int, *lines: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "order.return_received.v1", {
        "version": version,
        "order_id": ORDER,
        "number": "7K3M-Q2XD",
        "user_id": USER,
        "return_id": RETURN,
        "lines": list(lines),
    }


STOCK_CHANGED = (
    "stock.changed.v1",
    {
        "version": 3,
        "variant_id": "01a2047f-0000-7000-8000-000000000007",
        "product_id": "01a2047f-0000-7000-8000-000000000008",
        "available": 4,
    },
)


def stock_changed(
    version: int, variant_id: object, product_id: object, available: int
) -> tuple[str, dict[str, Any]]:
    return "stock.changed.v1", {
        "version": version,
        "variant_id": str(variant_id),
        "product_id": str(product_id),
        "available": available,
    }


PRODUCT_ARCHIVED = (
    "product.archived.v1",
    {"version": 9, "product_id": "01a2047f-0000-7000-8000-000000000008"},
)


def product(event_type: str, **changes: Any) -> tuple[str, dict[str, Any]]:
    """`product.published.v1` or `product.updated.v1`."""
    return event_type, {
        "version": 2,
        "product_id": "01a2047f-0000-7000-8000-000000000008",
        "seller_id": SELLER,
        "slug": "desk-lamp",
        "name": "Desk Lamp",
        "category": "lighting",
        "variants": [
            {
                "variant_id": "01a2047f-0000-7000-8000-000000000007",
                "sku": "LAMP-1",
                "price": {"amount": 4990, "currency": "USD"},
                "attributes": {"color": "Black"},
            }
        ],
        "thumbnail": None,
        **changes,
    }
