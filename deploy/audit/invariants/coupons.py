"""svc-cart's coupons: what they count, what they allow, and which orders use them."""

from __future__ import annotations

from audit.invariants.orders import ORDERS
from audit.invariants.shelves import CART
from audit.model import Match, Row, Rows, Source, Verdict, invariant

_UNFINISHED = frozenset({"started", "reserving", "undoing"})
_PAID = frozenset({"confirmed", "shipped", "delivered"})

# Codes as one text, in their own order.
_ORDERED = Source(
    ORDERS,
    """
    SELECT o.id::text, extract(epoch FROM greatest(o.updated_at, s.updated_at))::float8, o.status,
           (SELECT string_agg(code, ', ' ORDER BY code COLLATE "C") FROM jsonb_array_elements_text(o.coupon_codes) AS code), s.step
    FROM orders_order o LEFT JOIN orders_checkoutsaga s ON s.order_id = o.id
    ORDER BY o.id
    """,
)
_USED = Source(
    CART,
    """
    SELECT u.order_id::text, extract(epoch FROM max(u.created_at))::float8, string_agg(c.code, ', ' ORDER BY c.code COLLATE "C"),
           bool_and(u.paid), bool_or(u.paid)
    FROM cart_couponuse u JOIN cart_coupon c ON c.id = u.coupon_id
    GROUP BY u.order_id ORDER BY u.order_id
    """,
)


def _order_uses_its_coupons(order: Row | None, used: Row | None) -> int | tuple[str, str]:
    if order is None or order[2] in ("draft", "cancelled"):
        return Verdict.SKIP
    there = None if used is None else used[2]
    if order[3] == there:
        return Verdict.HOLDS
    return f"uses of {order[3] or 'nothing'}", f"uses of {there or 'nothing'}"


def _ended_order_uses_no_coupon(order: Row | None, used: Row | None) -> int | tuple[str, str]:
    if order is not None and order[2] not in ("draft", "cancelled"):
        return Verdict.SKIP
    if used is None or (order is not None and order[2] == "draft" and order[4] in _UNFINISHED):
        return Verdict.HOLDS
    return f"{'no order' if order is None else order[2]}: no use", f"uses of {used[2]}"


def _coupon_use_is_paid_as_its_order(order: Row | None, used: Row | None) -> int | tuple[str, str]:
    if order is None or used is None or order[2] in ("draft", "cancelled"):
        return Verdict.SKIP
    if order[2] in _PAID:
        return (
            Verdict.HOLDS if used[3] else (f"{order[2]}: paid uses", f"uses of {used[2]} that are not paid")
        )
    return Verdict.HOLDS if not used[4] else (f"{order[2]}: no paid use", f"paid uses of {used[2]}")


COUPON_INVARIANTS = (
    invariant(
        "coupon-counts-its-uses",
        "A coupon counts as many uses as there are.",
        Rows(
            CART,
            """
            SELECT c.id::text, coalesce(u.number, 0) || ' used', c.used || ' used', NULL::float8
            FROM cart_coupon c
            LEFT JOIN (SELECT coupon_id, count(*) AS number FROM cart_couponuse GROUP BY coupon_id) u ON u.coupon_id = c.id
            WHERE c.used <> coalesce(u.number, 0)
            """,
            "cart_coupon",
        ),
    ),
    invariant(
        "coupon-keeps-its-limits",
        "A coupon is used no more often than it may be, by all and by one user.",
        # Staff may lower the limit of a user below what is used already: only what was taken since then counts.
        Rows(
            CART,
            """
            SELECT c.id::text, 'at most ' || c.total_limit, u.number || ' uses', NULL::float8
            FROM cart_coupon c
            JOIN (SELECT coupon_id, count(*) AS number FROM cart_couponuse GROUP BY coupon_id) u ON u.coupon_id = c.id
            WHERE u.number > c.total_limit
            UNION ALL
            SELECT c.id::text, format('at most %s by user %s', c.user_limit, u.user_id), u.number || ' uses', NULL
            FROM cart_coupon c
            JOIN (
                SELECT coupon_id, user_id, count(*) AS number, max(created_at) AS last FROM cart_couponuse
                WHERE user_id IS NOT NULL GROUP BY coupon_id, user_id
            ) u ON u.coupon_id = c.id
            WHERE u.number > c.user_limit AND u.last > c.updated_at
            """,
            "cart_coupon",
        ),
    ),
    invariant(
        "closed-order-uses-no-coupon",
        "An order that gave its coupons back uses none.",
        Rows(
            CART,
            """
            SELECT o.order_id::text, 'no use', count(*) || ' uses', NULL::float8
            FROM cart_couponorder o JOIN cart_couponuse u ON u.order_id = o.order_id
            WHERE o.closed_at IS NOT NULL GROUP BY o.order_id
            """,
            "cart_couponorder WHERE closed_at IS NOT NULL",
        ),
    ),
    invariant(
        "order-uses-its-coupons",
        "An order that was not cancelled uses exactly the coupons that it names.",
        Match(_ORDERED, _USED, _order_uses_its_coupons, CART),
    ),
    invariant(
        "ended-order-uses-no-coupon",
        "A cancelled order, or one that never came to be, uses no coupon.",
        Match(_ORDERED, _USED, _ended_order_uses_no_coupon, CART),
    ),
    invariant(
        "coupon-use-is-paid-as-its-order",
        "The use of a coupon is paid for when its order is confirmed, and not before.",
        Match(_ORDERED, _USED, _coupon_use_is_paid_as_its_order, CART),
    ),
)
