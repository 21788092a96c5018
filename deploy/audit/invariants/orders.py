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
        "shipped-is-what-parcels-hold",
        "What is shipped of an order's line is what its parcels hold, and no more than was ordered.",
        Rows(
            ORDERS,
            """
            SELECT l.id::text, format('%s shipped, at most %s', coalesce(p.quantity, 0), l.quantity),
                   l.shipped_quantity || ' shipped', NULL::float8
            FROM orders_orderline l
            LEFT JOIN (SELECT line_id, sum(quantity) AS quantity FROM orders_shipmentline GROUP BY line_id) p ON p.line_id = l.id
            WHERE l.shipped_quantity <> coalesce(p.quantity, 0) OR l.shipped_quantity > l.quantity
            """,
            "orders_orderline",
        ),
    ),
    invariant(
        "order-is-shipped-when-all-of-it-is",
        "An order is shipped, or delivered, exactly when all of it has left.",
        Rows(
            ORDERS,
            """
            SELECT o.id::text, CASE WHEN l.left_over > 0 THEN 'not shipped yet' ELSE 'shipped' END,
                   format('%s, %s units left', o.status, l.left_over), NULL::float8
            FROM orders_order o
            JOIN (SELECT order_id, sum(quantity - shipped_quantity) AS left_over FROM orders_orderline GROUP BY order_id) l
              ON l.order_id = o.id
            WHERE o.status <> 'draft' AND (o.status IN ('shipped', 'delivered')) <> (l.left_over = 0)
            """,
            _PLACED,
        ),
    ),
    invariant(
        "return-is-of-what-was-ordered",
        "No more of a line is sent back, or paid back by lines, than was ordered.",
        Rows(
            ORDERS,
            """
            SELECT l.id::text, 'at most ' || l.quantity, r.quantity || ' sent back', NULL::float8
            FROM orders_orderline l
            JOIN (
                SELECT b.line_id, sum(b.quantity) AS quantity FROM orders_returnline b JOIN orders_return r ON r.id = b.part_of_id
                WHERE r.status <> 'rejected' GROUP BY b.line_id
            ) r ON r.line_id = l.id
            WHERE r.quantity > l.quantity
            UNION ALL
            SELECT l.id::text, 'at most ' || l.quantity, r.quantity || ' paid back', NULL
            FROM orders_orderline l JOIN (
                SELECT b.line_id, sum(b.quantity) AS quantity FROM orders_refundline b JOIN orders_refund r ON r.id = b.refund_id
                WHERE r.status <> 'failed' GROUP BY b.line_id
            ) r ON r.line_id = l.id
            WHERE r.quantity > l.quantity
            """,
            "orders_orderline WHERE id IN (SELECT line_id FROM orders_returnline UNION SELECT line_id FROM orders_refundline)",
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
