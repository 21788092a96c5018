"""Messages as svc-catalog, svc-orders and svc-accounts send them, written by hand from the event catalogue."""

from __future__ import annotations

from typing import Any

PRODUCT_ID = "01938b8e-0000-7000-8000-0000000000a1"
VARIANT_ID = "01938b8e-0000-7000-8000-0000000000b1"
OTHER_VARIANT_ID = "01938b8e-0000-7000-8000-0000000000b2"
USER_ID = "01938b8e-0000-7000-8000-0000000000c1"
CART_ID = "01938b8e-0000-7000-8000-0000000000d1"
ORDER_ID = "01938b8e-0000-7000-8000-0000000000f1"


def product_published(**changes: Any) -> tuple[str, dict[str, Any]]:
    return "product.published.v1", _product(**changes)


def product_updated(**changes: Any) -> tuple[str, dict[str, Any]]:
    return "product.updated.v1", _product(**changes)


def _product(**changes: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "product_id": PRODUCT_ID,
        "seller_id": "01938b8e-0000-7000-8000-0000000000e1",
        "slug": "desk-lamp",
        "name": "Desk lamp",
        "category": "lamps",
        "thumbnail": "/media/desk-lamp.webp",
        "variants": [
            {
                "variant_id": VARIANT_ID,
                "sku": "LAMP-W",
                "price": {"amount": 2500, "currency": "USD"},
                "attributes": {"colour": "white"},
            },
            {"variant_id": OTHER_VARIANT_ID, "sku": "LAMP-B", "price": {"amount": 2700, "currency": "USD"}},
        ],
        **changes,
    }


def product_archived(**changes: Any) -> tuple[str, dict[str, Any]]:
    return "product.archived.v1", {"version": 2, "product_id": PRODUCT_ID, **changes}


def stock_changed(**changes: Any) -> tuple[str, dict[str, Any]]:
    data = {"version": 1, "variant_id": VARIANT_ID, "product_id": PRODUCT_ID, "available": 7, **changes}
    return "stock.changed.v1", data


def order_confirmed(*lines: tuple[Any, int], **changes: Any) -> tuple[str, dict[str, Any]]:
    """`lines` are variants and quantities."""
    data = _order(*lines, **changes)
    return "order.confirmed.v1", {**data, "payment_id": "01938b8e-0000-7000-8000-0000000000f3"}


def order_cancelled(*lines: tuple[Any, int], **changes: Any) -> tuple[str, dict[str, Any]]:
    return "order.cancelled.v1", {**_order(*lines, **changes), "reason": "expired"}


def _order(
    *lines: tuple[Any, int],
    order_id: Any = ORDER_ID,
    cart_id: Any = CART_ID,
    user_id: Any = USER_ID,
    **changes: Any,
) -> dict[str, Any]:
    return {
        "version": 2,
        "order_id": str(order_id),
        "number": "R4K7-92QX",
        "user_id": str(user_id),
        "cart_id": str(cart_id),
        "cart_version": 1,
        "lines": [
            {
                "line_id": "01938b8e-0000-7000-8000-0000000000f2",
                "variant_id": str(variant_id),
                "product_id": PRODUCT_ID,
                "seller_id": "01938b8e-0000-7000-8000-0000000000e1",
                "quantity": quantity,
                "unit_price": {"amount": 2500, "currency": "USD"},
            }
            for variant_id, quantity in lines
        ],
        "total": {"amount": 5000, "currency": "USD"},
        **changes,
    }


def user_erased(user_id: Any = USER_ID) -> tuple[str, dict[str, Any]]:
    return "user.erased.v1", {"version": 9, "user_id": str(user_id)}
