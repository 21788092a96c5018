"""Stock: every change of it goes through one statement.

`MOVE` locks the stock rows of the wanted variants in the order of their ids, checks all of them against what is there
after the locks are held, and then changes all or none. In the same statement it writes the movements and keeps
`Product.variants_in_stock`, whose rows are locked after all stock rows and by id. So no two of these statements can wait
for each other, nothing is oversold, and a hot row is held for one statement, one insert of events and the commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from catalog.exceptions import InsufficientStock, VariantNotFound
from catalog.models import Stock, StockMovement
from shared_lib.contracts.events import Event, StockChanged, StockLow
from shared_lib.events import publish_all

# Expects a CTE `wanted (variant_id, quantity)` before it and the parameters of `move_parameters`. Gives a CTE `moved`: one
# row for each variant, or none at all.
MOVE = """
locked AS MATERIALIZED (
    SELECT s.variant_id, s.on_hand, s.reserved, s.version,
           w.quantity * %(on_hand)s::bigint AS on_hand_delta, w.quantity * %(reserved)s::bigint AS reserved_delta
    FROM catalog_stock s JOIN wanted w ON w.variant_id = s.variant_id
    ORDER BY s.variant_id
    FOR NO KEY UPDATE OF s
), fits AS MATERIALIZED (
    SELECT count(*) = (SELECT count(*) FROM wanted)
       AND bool_and(reserved + reserved_delta BETWEEN 0 AND on_hand + on_hand_delta) AS ok
    FROM locked
), moved AS (
    UPDATE catalog_stock s
    SET on_hand = s.on_hand + l.on_hand_delta, reserved = s.reserved + l.reserved_delta,
        version = s.version + 1, updated_at = now()
    FROM locked l CROSS JOIN fits
    WHERE fits.ok AND s.variant_id = l.variant_id
    RETURNING s.variant_id, s.on_hand, s.reserved, s.version, l.on_hand - l.reserved AS before,
              s.on_hand - s.reserved AS available, l.on_hand_delta, l.reserved_delta
), movements AS (
    INSERT INTO catalog_stockmovement
        (variant_id, stock_version, kind, on_hand_delta, reserved_delta, reference, actor_id, reason, created_at)
    SELECT variant_id, version, %(kind)s, on_hand_delta, reserved_delta,
           %(reference)s::uuid, %(actor)s::uuid, %(reason)s, now()
    FROM moved
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
"""

_MOVE_THESE = f"""
WITH wanted AS MATERIALIZED (
    SELECT * FROM unnest(%(variants)s::uuid[], %(quantities)s::bigint[]) AS w (variant_id, quantity)
), {MOVE}
SELECT m.variant_id, v.product_id, p.seller_id, m.on_hand, m.reserved, m.version, m.before, m.available
FROM moved m JOIN catalog_variant v ON v.id = m.variant_id JOIN catalog_product p ON p.id = v.product_id
ORDER BY m.variant_id
"""  # noqa: S608 - made of constants

# What one unit of a movement does to (on_hand, reserved).
_EFFECTS: dict[StockMovement.Kind, tuple[int, int]] = {
    StockMovement.Kind.RECEIVED: (1, 0),
    StockMovement.Kind.ADJUSTED: (1, 0),
    StockMovement.Kind.RESERVED: (0, 1),
    StockMovement.Kind.RELEASED: (0, -1),
    StockMovement.Kind.SOLD: (-1, -1),
    StockMovement.Kind.RETAKEN: (-1, 0),
    StockMovement.Kind.RESTOCKED: (1, 0),
    StockMovement.Kind.RETURNED: (1, 0),
}


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


def move_parameters(
    kind: StockMovement.Kind, *, reference: UUID | None = None, actor: UUID | None = None, reason: str = ""
) -> dict[str, Any]:
    """The parameters of `MOVE`."""
    on_hand, reserved = _EFFECTS[kind]
    return {
        "kind": kind.value,
        "on_hand": on_hand,
        "reserved": reserved,
        "reference": reference,
        "actor": actor,
        "reason": reason,
    }


def move(quantities: Mapping[UUID, int], kind: StockMovement.Kind, **details: Any) -> list[Level]:
    """Moves all of `quantities` (by variant) or, where one does not fit or is unknown, none and gives an empty list.

    Needs the caller's transaction. `details`: `reference`, `actor`, `reason`.
    """
    parameters = {
        **move_parameters(kind, **details),
        "variants": list(quantities),
        "quantities": list(quantities.values()),
    }
    with connection.cursor() as cursor:
        cursor.execute(_MOVE_THESE, parameters)
        levels = [Level(*row) for row in cursor.fetchall()]
    publish_levels(levels)
    return levels


def publish_levels(levels: Iterable[Level]) -> None:
    """Tells of changed stock: `stock.changed` for each, `stock.low` where it just fell to the threshold."""
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
    publish_all(events)


@transaction.atomic
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
    levels = move({variant_id: delta}, StockMovement.Kind.ADJUSTED, actor=actor_id, reason=reason)
    if not levels:
        stock.refresh_from_db()
        raise InsufficientStock(
            f"Only {stock.on_hand - stock.reserved} can be taken away.",
            available=stock.on_hand - stock.reserved,
        )
    [level] = levels
    stock.on_hand, stock.reserved, stock.version = level.on_hand, level.reserved, level.version
    return stock
