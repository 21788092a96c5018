"""svc-catalog's stock: against its movements, against what is reserved, and against what was ordered."""

from __future__ import annotations

from audit.invariants.orders import ORDERS
from audit.model import Match, Row, Rows, Source, Verdict, invariant

CATALOG = "svc-catalog"

_CONFIRMED = frozenset({"confirmed", "shipped", "delivered"})
_UNFINISHED = frozenset({"started", "reserving", "undoing"})

# Lines as one text, `VARIANT x QUANTITY` in the order of the variants: the same text, the same lines.
_ORDERED = Source(
    ORDERS,
    """
    SELECT o.id::text, extract(epoch FROM greatest(o.updated_at, s.updated_at))::float8, o.status, o.payment_status, l.lines, s.step
    FROM orders_order o
    LEFT JOIN orders_checkoutsaga s ON s.order_id = o.id
    LEFT JOIN (
        SELECT order_id, string_agg(variant_id || ' x ' || quantity, ', ' ORDER BY variant_id) AS lines
        FROM (SELECT order_id, variant_id, sum(quantity) AS quantity FROM orders_orderline GROUP BY order_id, variant_id) v
        GROUP BY order_id
    ) l ON l.order_id = o.id
    ORDER BY o.id
    """,
)
_RESERVED = Source(
    CATALOG,
    """
    SELECT r.order_id::text, extract(epoch FROM r.updated_at)::float8, r.status, l.lines,
           coalesce(r.expires_at < now(), false), EXISTS (SELECT FROM catalog_stockshortage s WHERE s.order_id = r.order_id)
    FROM catalog_reservation r
    LEFT JOIN (
        SELECT reservation_id, string_agg(variant_id || ' x ' || quantity, ', ' ORDER BY variant_id) AS lines
        FROM catalog_reservationline GROUP BY reservation_id
    ) l ON l.reservation_id = r.order_id
    ORDER BY r.order_id
    """,
)
_SHORT = Source(
    CATALOG,
    """
    SELECT order_id::text, extract(epoch FROM max(created_at))::float8, count(*)
    FROM catalog_stockshortage GROUP BY order_id ORDER BY order_id
    """,
)


_SENT_BACK = Source(
    ORDERS,
    """
    SELECT r.id::text, extract(epoch FROM r.updated_at)::float8, r.status, l.lines
    FROM orders_return r LEFT JOIN (
        SELECT part_of_id, string_agg(variant_id || ' x ' || quantity, ', ' ORDER BY variant_id) AS lines
        FROM (
            SELECT b.part_of_id, l.variant_id, sum(b.quantity) AS quantity
            FROM orders_returnline b JOIN orders_orderline l ON l.id = b.line_id GROUP BY b.part_of_id, l.variant_id
        ) v GROUP BY part_of_id
    ) l ON l.part_of_id = r.id
    ORDER BY r.id
    """,
)
_RESTOCKED = Source(
    CATALOG,
    """
    SELECT reference::text, extract(epoch FROM max(created_at))::float8,
           string_agg(variant_id || ' x ' || on_hand_delta, ', ' ORDER BY variant_id)
    FROM catalog_stockmovement WHERE kind = 'returned' GROUP BY reference ORDER BY reference
    """,
)


def _same(ordered: Row, reserved: Row | None, status: str) -> int | tuple[str, str]:
    if reserved is not None and reserved[2:4] == (status, ordered[4]):
        return Verdict.HOLDS
    there = "no reservation" if reserved is None else f"{reserved[2]}: {reserved[3] or 'nothing'}"
    return f"{status}: {ordered[4] or 'nothing'}", there


def _unpaid_order_holds_its_lines(ordered: Row | None, reserved: Row | None) -> int | tuple[str, str]:
    """But for a payment that takes longer than the catalog's backstop."""
    if ordered is None or ordered[2] != "awaiting_payment":
        return Verdict.SKIP
    if reserved is not None and reserved[2] == "released" and reserved[4] and ordered[3] == "processing":
        return Verdict.HOLDS
    return _same(ordered, reserved, "reserved")


def _confirmed_order_sold_its_lines(ordered: Row | None, reserved: Row | None) -> int | tuple[str, str]:
    """A shortage is told by the invariant of its own."""
    if ordered is None or ordered[2] not in _CONFIRMED or (reserved is not None and reserved[5]):
        return Verdict.SKIP
    return _same(ordered, reserved, "sold")


def _cancelled_order_holds_nothing(ordered: Row | None, reserved: Row | None) -> int | tuple[str, str]:
    if ordered is None or ordered[2] != "cancelled":
        return Verdict.SKIP
    if reserved is None or reserved[2] == "released":
        return Verdict.HOLDS
    return "released", f"{reserved[2]}: {reserved[3] or 'nothing'}"


def _reservation_has_an_order(ordered: Row | None, reserved: Row | None) -> int | tuple[str, str]:
    if reserved is None or reserved[2] == "released":
        return Verdict.SKIP
    if ordered is None:
        return "an order, or released", f"no order, {reserved[2]}: {reserved[3] or 'nothing'}"
    if ordered[2] == "draft" and (reserved[2] == "sold" or ordered[5] not in _UNFINISHED):
        return "released: the checkout made no order", f"{reserved[2]}: {reserved[3] or 'nothing'}"
    return Verdict.HOLDS


def _shortage_ends_its_order(ordered: Row | None, short: Row | None) -> int | tuple[str, str]:
    if short is None:
        return Verdict.SKIP
    if ordered is not None and ordered[2] == "cancelled":
        return Verdict.HOLDS
    return "cancelled for want of stock", "no order" if ordered is None else ordered[2]


def _what_came_back_was_sent_back(sent: Row | None, restocked: Row | None) -> int | tuple[str, str]:
    """What may not be sold again stays out of the stock, so a return without movements is fine."""
    if restocked is None:
        return Verdict.SKIP if sent is None or sent[2] != "received" else Verdict.HOLDS
    if sent is not None and sent[2:4] == ("received", restocked[2]):
        return Verdict.HOLDS
    there = "no return" if sent is None else f"{sent[2]}: {sent[3] or 'nothing'}"
    return f"a received return of {restocked[2]}", there


STOCK_INVARIANTS = (
    invariant(
        "stock-is-what-moved",
        "What of a variant is on hand and what is reserved are the sums of its movements.",
        Rows(
            CATALOG,
            """
            SELECT s.variant_id::text, format('%s on hand, %s reserved', coalesce(m.on_hand, 0), coalesce(m.reserved, 0)),
                   format('%s on hand, %s reserved', s.on_hand, s.reserved), NULL::float8
            FROM catalog_stock s LEFT JOIN (
                SELECT variant_id, sum(on_hand_delta) AS on_hand, sum(reserved_delta) AS reserved
                FROM catalog_stockmovement GROUP BY variant_id
            ) m ON m.variant_id = s.variant_id
            WHERE s.on_hand <> coalesce(m.on_hand, 0) OR s.reserved <> coalesce(m.reserved, 0)
            """,
            "catalog_stock",
        ),
    ),
    invariant(
        "stock-version-is-a-movement",
        "Every version of a stock row has its movement.",
        Rows(
            CATALOG,
            """
            SELECT s.variant_id::text, format('%s movements up to %s', s.version, s.version),
                   format('%s movements up to %s', coalesce(m.number, 0), coalesce(m.last, 0)), NULL::float8
            FROM catalog_stock s LEFT JOIN (
                SELECT variant_id, count(*) AS number, max(stock_version) AS last FROM catalog_stockmovement GROUP BY variant_id
            ) m ON m.variant_id = s.variant_id
            WHERE m.number IS DISTINCT FROM s.version OR m.last IS DISTINCT FROM s.version
            """,
            "catalog_stock",
        ),
    ),
    invariant(
        "stock-reserved-is-reservations",
        "What of a variant is reserved is the sum of the reservations that are neither sold nor released.",
        Rows(
            CATALOG,
            """
            SELECT s.variant_id::text, coalesce(r.quantity, 0) || ' reserved', s.reserved || ' reserved', NULL::float8
            FROM catalog_stock s LEFT JOIN (
                SELECT l.variant_id, sum(l.quantity) AS quantity
                FROM catalog_reservationline l JOIN catalog_reservation r ON r.order_id = l.reservation_id
                WHERE r.status = 'reserved' GROUP BY l.variant_id
            ) r ON r.variant_id = s.variant_id
            WHERE s.reserved <> coalesce(r.quantity, 0)
            """,
            "catalog_stock",
        ),
    ),
    invariant(
        "stock-is-never-negative",
        "Never is less reserved than nothing, or more than is on hand.",
        Rows(
            CATALOG,
            """
            SELECT variant_id::text, '0 <= reserved <= on hand', format('%s reserved, %s on hand', reserved, on_hand), NULL::float8
            FROM catalog_stock WHERE reserved < 0 OR reserved > on_hand
            """,
            "catalog_stock",
        ),
    ),
    invariant(
        "reservation-moved-its-lines-once",
        "The movements of an order leave each of its lines reserved, sold or untouched, as its reservation says.",
        Rows(
            CATALOG,
            """
            SELECT coalesce(l.order_id, m.reference) || ' ' || coalesce(l.variant_id, m.variant_id),
                   format('%s on hand, %s reserved (%s)', coalesce(l.on_hand, 0), coalesce(l.reserved, 0),
                          coalesce(l.status, 'no line')),
                   format('%s on hand, %s reserved', coalesce(m.on_hand, 0), coalesce(m.reserved, 0)), NULL::float8
            FROM (
                SELECT r.order_id, l.variant_id, r.status, CASE WHEN r.status = 'sold' THEN -l.quantity ELSE 0 END AS on_hand,
                       CASE WHEN r.status = 'reserved' THEN l.quantity ELSE 0 END AS reserved
                FROM catalog_reservation r JOIN catalog_reservationline l ON l.reservation_id = r.order_id
            ) l FULL JOIN (
                SELECT reference, variant_id, sum(on_hand_delta) AS on_hand, sum(reserved_delta) AS reserved
                FROM catalog_stockmovement WHERE kind IN ('reserved', 'released', 'sold', 'retaken', 'restocked')
                GROUP BY reference, variant_id
            ) m ON m.reference = l.order_id AND m.variant_id = l.variant_id
            WHERE coalesce(l.on_hand, 0) <> coalesce(m.on_hand, 0) OR coalesce(l.reserved, 0) <> coalesce(m.reserved, 0)
            """,
            "catalog_reservationline",
        ),
    ),
    invariant(
        "product-counts-what-is-in-stock",
        "A product counts those of its variants of which something can be bought.",
        Rows(
            CATALOG,
            """
            SELECT p.id::text, coalesce(v.number, 0) || ' variants in stock', p.variants_in_stock || ' variants in stock',
                   NULL::float8
            FROM catalog_product p LEFT JOIN (
                SELECT v.product_id, count(*) AS number FROM catalog_variant v JOIN catalog_stock s ON s.variant_id = v.id
                WHERE v.deleted_at IS NULL AND s.on_hand > s.reserved GROUP BY v.product_id
            ) v ON v.product_id = p.id
            WHERE p.variants_in_stock <> coalesce(v.number, 0)
            """,
            "catalog_product",
        ),
    ),
    invariant(
        "unpaid-order-holds-its-lines",
        "For an order that awaits its payment exactly its lines are reserved.",
        Match(_ORDERED, _RESERVED, _unpaid_order_holds_its_lines, CATALOG),
    ),
    invariant(
        "confirmed-order-sold-its-lines",
        "For a confirmed order exactly its lines are sold.",
        Match(_ORDERED, _RESERVED, _confirmed_order_sold_its_lines, CATALOG),
    ),
    invariant(
        "cancelled-order-holds-nothing",
        "For a cancelled order nothing is reserved or sold.",
        Match(_ORDERED, _RESERVED, _cancelled_order_holds_nothing, CATALOG),
    ),
    invariant(
        "reservation-has-an-order",
        "What is reserved or sold belongs to an order, or to a checkout that is under way.",
        Match(_ORDERED, _RESERVED, _reservation_has_an_order, CATALOG),
    ),
    invariant(
        "shortage-ends-its-order",
        "A confirmed order whose units were no longer there is cancelled.",
        Match(_ORDERED, _SHORT, _shortage_ends_its_order, ORDERS),
    ),
    invariant(
        "what-came-back-was-sent-back",
        "What is on hand again from a return is exactly what was received of it.",
        Match(_SENT_BACK, _RESTOCKED, _what_came_back_was_sent_back, CATALOG),
    ),
)
