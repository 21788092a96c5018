"""How reservations are decided: locked in the order of their ids, then closed together with their stock in one statement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from catalog.models import Reservation, Stock, StockMovement
from catalog.services import stock

Status = Reservation.Status

# A new row is a tombstone. A row whose version is not raised is locked all the same, and not given.
_LOCK = """
INSERT INTO catalog_reservation AS r (order_id, status, order_version, counted, created_at, updated_at)
SELECT told.order_id, 'released', told.version, false, now(), now()
FROM unnest(%s::uuid[], %s::bigint[]) AS told (order_id, version)
ORDER BY told.order_id
ON CONFLICT (order_id) DO UPDATE SET order_version = excluded.order_version, updated_at = now()
    WHERE r.order_version < excluded.order_version
RETURNING r.order_id, r.status
"""

_LOCK_STOCK = """
SELECT variant_id, on_hand - reserved FROM catalog_stock
WHERE variant_id = ANY(%s::uuid[])
   OR variant_id IN (SELECT variant_id FROM catalog_reservationline WHERE reservation_id = ANY(%s::uuid[]))
ORDER BY variant_id
FOR NO KEY UPDATE
"""

# What is wanted is never empty in `counts`: where `moved` is, although something was wanted, the caller must roll back.
_CLOSE = f"""
WITH decided AS MATERIALIZED (
    SELECT * FROM unnest(%(orders)s::uuid[], %(statuses)s::text[], %(releases)s::text[]) AS d (order_id, status, kind)
), closed AS (
    UPDATE catalog_reservation r SET status = d.status, updated_at = now()
    FROM decided d WHERE r.order_id = d.order_id
), wanted AS MATERIALIZED (
    SELECT l.variant_id, l.quantity, d.kind, d.order_id AS reference
    FROM catalog_reservationline l JOIN decided d ON d.order_id = l.reservation_id
    WHERE d.kind IS NOT NULL
    UNION ALL {stock.ASKED}
), {stock.MOVE}
SELECT counts.wanted, level.*
FROM (SELECT count(*) AS wanted FROM wanted) counts LEFT JOIN ({stock.LEVELS}) level ON true
ORDER BY level.variant_id
"""  # noqa: S608 - made of constants


class StockMismatch(RuntimeError):
    """Reservations and stock contradict each other. Nothing is changed; it needs a person."""


@dataclass(frozen=True, slots=True)
class Closing:
    """A reservation, what it becomes, and what happens to its lines (None: nothing)."""

    order_id: UUID
    status: Reservation.Status
    kind: StockMovement.Kind | None


def lock(versions: Iterable[tuple[UUID, int]]) -> dict[UUID, Reservation.Status]:
    """Locks the reservations of `(order_id, version)`, a new tombstone where there is none, and raises their versions.

    Gives the status of those that had seen only older events, in the order of their ids.
    """
    told = list(versions)
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [[order_id for order_id, _ in told], [version for _, version in told]])
        return {order_id: Status(status) for order_id, status in cursor.fetchall()}


def lock_stock(variants: Iterable[UUID], reservations: Iterable[UUID]) -> dict[UUID, int]:
    """Locks the stock of `variants` and of all lines of `reservations`; what is available of each."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_STOCK, [list(variants), list(reservations)])
        return dict(cursor.fetchall())


def close(closings: Sequence[Closing], moves: Sequence[stock.Move] = ()) -> list[stock.Level]:
    """Closes reservations that the caller has locked, moves their lines, and makes `moves` with them, in one statement.

    The caller publishes the levels. Raises `StockMismatch` when the stock does not hold what a reservation says.
    """
    parameters: dict[str, Any] = {
        **stock.columns(moves),
        "orders": [closing.order_id for closing in closings],
        "statuses": [closing.status.value for closing in closings],
        "releases": [closing.kind and closing.kind.value for closing in closings],
        "actor": None,
        "reason": "",
    }
    with connection.cursor() as cursor:
        cursor.execute(_CLOSE, parameters)
        rows = cursor.fetchall()
    wanted, first = rows[0][:2]
    if wanted and first is None:
        raise StockMismatch(_complaint(closings, moves))
    return [stock.Level(*row[1:]) for row in rows if row[1] is not None]


def _complaint(closings: Sequence[Closing], moves: Sequence[stock.Move]) -> str:
    named = {move.variant_id for move in moves}
    known = set(Stock.objects.filter(pk__in=named).values_list("pk", flat=True))
    if strangers := sorted(map(str, named - known)):
        return f"variants that were never here: {', '.join(strangers)}"
    orders = ", ".join(str(closing.order_id) for closing in closings)
    return f"the stock does not hold what was reserved for order {orders}"
