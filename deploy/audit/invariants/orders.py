"""svc-orders alone: what an order adds up to."""

from __future__ import annotations

from audit.model import Rows, invariant

ORDERS = "svc-orders"
_PLACED = "orders_order WHERE status <> 'draft'"

ORDER_INVARIANTS = (
    invariant(
        "order-total-adds-up",
        "The total of an order is its subtotal less the discount plus shipping and tax.",
        Rows(
            ORDERS,
            """
            SELECT id::text, 'total ' || subtotal_amount - discount_amount + shipping_amount + tax_amount,
                   'total ' || total_amount, NULL::float8
            FROM orders_order
            WHERE total_amount <> subtotal_amount - discount_amount + shipping_amount + tax_amount
            """,
            "orders_order",
        ),
    ),
    invariant(
        "order-line-adds-up",
        "The total of an order's line is its price times its quantity.",
        Rows(
            ORDERS,
            """
            SELECT id::text, 'line total ' || unit_price_amount * quantity, 'line total ' || line_total_amount, NULL::float8
            FROM orders_orderline WHERE line_total_amount <> unit_price_amount * quantity
            """,
            "orders_orderline",
        ),
    ),
    invariant(
        "order-lines-make-subtotal",
        "A placed order has lines, and they sum to its subtotal.",
        Rows(
            ORDERS,
            """
            SELECT o.id::text, 'lines of ' || o.subtotal_amount, 'lines of ' || coalesce(l.total::text, 'nothing'), NULL::float8
            FROM orders_order o
            LEFT JOIN (SELECT order_id, sum(line_total_amount) AS total FROM orders_orderline GROUP BY order_id) l
                   ON l.order_id = o.id
            WHERE o.status <> 'draft' AND l.total IS DISTINCT FROM o.subtotal_amount
            """,
            _PLACED,
        ),
    ),
    invariant(
        "order-discounts-make-discount",
        "What coupons took of an order's lines sums to its discount, and never exceeds a line.",
        Rows(
            ORDERS,
            """
            SELECT o.id::text, 'discounts of ' || o.discount_amount, 'discounts of ' || coalesce(l.discount, 0), NULL::float8
            FROM orders_order o LEFT JOIN (
                SELECT order_id, sum(discount_amount) AS discount,
                       bool_or(discount_amount < 0 OR discount_amount > line_total_amount) AS wrong
                FROM orders_orderline GROUP BY order_id
            ) l ON l.order_id = o.id
            WHERE coalesce(l.discount, 0) <> o.discount_amount OR l.wrong
            """,
            "orders_order",
        ),
    ),
    invariant(
        "order-taxes-make-tax",
        "The taxes of an order's lines and of its shipping sum to its tax, added or included.",
        Rows(
            ORDERS,
            """
            SELECT o.id::text, 'taxes of ' || o.tax_amount + o.tax_included_amount,
                   'taxes of ' || coalesce(l.tax, 0) + o.shipping_tax_amount, NULL::float8
            FROM orders_order o
            LEFT JOIN (SELECT order_id, sum(tax_amount) AS tax FROM orders_orderline GROUP BY order_id) l ON l.order_id = o.id
            WHERE coalesce(l.tax, 0) + o.shipping_tax_amount <> o.tax_amount + o.tax_included_amount
            """,
            "orders_order",
        ),
    ),
    invariant(
        "order-history-tells-status",
        "The last row of a placed order's history is the status that it has.",
        Rows(
            ORDERS,
            """
            SELECT o.id::text, o.status, coalesce(h.status, 'no history'), NULL::float8
            FROM orders_order o
            LEFT JOIN (SELECT DISTINCT ON (order_id) order_id, status FROM orders_orderhistory ORDER BY order_id, id DESC) h
                   ON h.order_id = o.id
            WHERE o.status <> 'draft' AND h.status IS DISTINCT FROM o.status
            """,
            _PLACED,
        ),
    ),
)
