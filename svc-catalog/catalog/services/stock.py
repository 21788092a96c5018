"""Stock: every change of it goes through one statement.

`MOVE` locks the stock rows of the wanted variants in the order of their ids, checks all of them against what is there
after the locks are held, and then changes all or none. In the same statement it writes the movements and keeps
`Product.variants_in_stock`, whose rows are locked after all stock rows and by id. So no two of these statements can wait
for each other, nothing is oversold, and a hot row is held for one statement, one insert of events and the commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from catalog.exceptions import InsufficientStock, VariantNotFound
from catalog.models import Stock, StockMovement
from catalog.services.transactions import committing
from shared_lib.contracts.events import Event, StockChanged, StockLow
from shared_lib.events import publish_all

Kind = StockMovement.Kind

# What one unit of a movement does to (on_hand, reserved).
_EFFECTS: dict[StockMovement.Kind, tuple[int, int]] = {
    Kind.RECEIVED: (1, 0),
    Kind.ADJUSTED: (1, 0),
    Kind.RESERVED: (0, 1),
    Kind.RELEASED: (0, -1),
    Kind.SOLD: (-1, -1),
    Kind.RETAKEN: (-1, 0),
    Kind.RESTOCKED: (1, 0),
    Kind.RETURNED: (1, 0),
}
_VALUES = ", ".join(
    f"('{kind.value}', {on_hand}, {reserved})" for kind, (on_hand, reserved) in _EFFECTS.items()
)

# Expects a CTE `wanted (variant_id, quantity, kind, reference)` before it, with one row for a variant, kind and reference,
# and the parameters `actor` and `reason`. Gives a CTE `moved`: one row for each variant, or none at all. A variant that
# several rows name changes once by their sum, and its version grows by their number.
MOVE = f"""
effects (kind, on_hand, reserved) AS (
    VALUES {_VALUES}
), sums AS MATERIALIZED (
    SELECT w.variant_id, count(*) AS changes, sum(w.quantity * e.on_hand)::bigint AS on_hand_delta,
           sum(w.quantity * e.reserved)::bigint AS reserved_delta
    FROM wanted w JOIN effects e ON e.kind = w.kind
    GROUP BY w.variant_id
), locked AS MATERIALIZED (
    SELECT s.variant_id, s.on_hand, s.reserved, s.version, n.on_hand_delta, n.reserved_delta, n.changes
    FROM catalog_stock s JOIN sums n ON n.variant_id = s.variant_id
    ORDER BY s.variant_id
    FOR NO KEY UPDATE OF s
), fits AS MATERIALIZED (
    SELECT count(*) = (SELECT count(*) FROM sums)
       AND bool_and(reserved + reserved_delta BETWEEN 0 AND on_hand + on_hand_delta) AS ok
    FROM locked
), moved AS (
    UPDATE catalog_stock s
    SET on_hand = s.on_hand + l.on_hand_delta, reserved = s.reserved + l.reserved_delta,
        version = s.version + l.changes, updated_at = now()
    FROM locked l CROSS JOIN fits
    WHERE fits.ok AND s.variant_id = l.variant_id
    RETURNING s.variant_id, s.on_hand, s.reserved, s.version, l.on_hand - l.reserved AS before,
              s.on_hand - s.reserved AS available, l.version AS version_before
), movements AS (
    INSERT INTO catalog_stockmovement
        (variant_id, stock_version, kind, on_hand_delta, reserved_delta, reference, actor_id, reason, created_at)
    SELECT w.variant_id, m.version_before + row_number() OVER (PARTITION BY w.variant_id ORDER BY w.reference, w.kind),
           w.kind, w.quantity * e.on_hand, w.quantity * e.reserved, w.reference, %(actor)s::uuid, %(reason)s, now()
    FROM moved m JOIN wanted w ON w.variant_id = m.variant_id JOIN effects e ON e.kind = w.kind
), crossings AS (
    SELECT v.product_id, sum(CASE WHEN m.before > 0 THEN -1 ELSE 1 END) AS delta
    FROM moved m JOIN catalog_variant v ON v.id = m.variant_id AND v.deleted_at IS NULL
    WHERE (m.before > 0) <> (m.available > 0)
    GROUP BY v.product_id
), crossed AS MATERIALIZED (
    SELECT p.id, c.delta FROM catalog_product p JOIN crossings c ON c.product_id = p.id
    ORDER BY p.id
    FOR NO KEY UPDATE OF p
), recounted AS (
    UPDATE catalog_product p SET variants_in_stock = p.variants_in_stock + c.delta FROM crossed c WHERE p.id = c.id
)
"""  # noqa: S608 - made of constants

# `Move` as columns of arrays.
ASKED = """
    SELECT * FROM unnest(%(variants)s::uuid[], %(quantities)s::bigint[], %(kinds)s::text[], %(references)s::uuid[])
        AS w (variant_id, quantity, kind, reference)
"""
LEVELS = """
    SELECT m.variant_id, v.product_id, p.seller_id, m.on_hand, m.reserved, m.version, m.before, m.available
    FROM moved m JOIN catalog_variant v ON v.id = m.variant_id JOIN catalog_product p ON p.id = v.product_id
"""
_MOVE_THESE = f"WITH wanted AS MATERIALIZED ({ASKED}), {MOVE} {LEVELS} ORDER BY m.variant_id"


@dataclass(frozen=True, slots=True)
class Move:
    """What is to happen to a variant; `reference` is the order or return that it is for."""

    variant_id: UUID
    quantity: int
    kind: StockMovement.Kind
    reference: UUID | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """A stock row as a movement left it; `before` was available before."""

    variant_id: UUID
    product_id: UUID
    seller_id: UUID
    on_hand: int
    reserved: int
    version: int
    before: int
    available: int


def columns(moves: Sequence[Move]) -> dict[str, Any]:
    """The parameters of `ASKED`."""
    return {
        "variants": [move.variant_id for move in moves],
        "quantities": [move.quantity for move in moves],
        "kinds": [move.kind.value for move in moves],
        "references": [move.reference for move in moves],
    }


def move(moves: Sequence[Move], *, actor: UUID | None = None, reason: str = "") -> list[Level]:
    """Makes all of `moves` or, where one does not fit or names a variant that is unknown, none and gives an empty list.

    Needs the caller's transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute(_MOVE_THESE, {**columns(moves), "actor": actor, "reason": reason})
        levels = [Level(*row) for row in cursor.fetchall()]
    publish_all(events_of(levels))
    return levels


def events_of(levels: Iterable[Level]) -> list[tuple[Event, object]]:
    """What is told of changed stock: `stock.changed` for each, `stock.low` where it just fell to the threshold."""
    events: list[tuple[Event, object]] = []
    for level in levels:
        events.append(
            (
                StockChanged(
                    version=level.version,
                    variant_id=level.variant_id,
                    product_id=level.product_id,
                    available=level.available,
                ),
                level.variant_id,
            )
        )
        if level.available <= settings.STOCK_LOW_THRESHOLD < level.before:
            events.append(
                (
                    StockLow(
                        version=level.version,
                        variant_id=level.variant_id,
                        product_id=level.product_id,
                        seller_id=level.seller_id,
                        available=level.available,
                    ),
                    level.variant_id,
                )
            )
    return events


@committing("adjust.commit")
def adjust_stock(
    *, variant_id: UUID, delta: int, reason: str, actor_id: UUID, seller_id: UUID | None
) -> Stock:
    """Adds `delta` units (negative: takes away) and gives the stock row.

    `seller_id` limits it to that seller's variants; None is staff. Raises `VariantNotFound`, and `InsufficientStock`
    when less would remain than is reserved.
    """
    owned = Stock.objects.filter(variant_id=variant_id, variant__deleted_at__isnull=True)
    if seller_id is not None:
        owned = owned.filter(variant__product__seller_id=seller_id)
    stock = owned.first()
    if stock is None:
        raise VariantNotFound
    if delta == 0:
        return stock
    levels = move([Move(variant_id, delta, Kind.ADJUSTED)], actor=actor_id, reason=reason)
    if not levels:
        stock.refresh_from_db()
        raise InsufficientStock(
            f"Only {stock.on_hand - stock.reserved} can be taken away.",
            available=stock.on_hand - stock.reserved,
        )
    [level] = levels
    stock.on_hand, stock.reserved, stock.version = level.on_hand, level.reserved, level.version
    return stock
