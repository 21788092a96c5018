"""Reservations: stock held for an order, every line or none, until the order is decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils import timezone

from catalog.exceptions import OutOfStock, ReservationClosed
from catalog.models import Reservation, StockMovement, Variant
from catalog.services import stock
from catalog.services.closing import Closing, close
from catalog.services.quantities import summed
from catalog.services.transactions import committing
from shared_lib.contracts.internal import catalog as contract
from shared_lib.events import publish_all
from shared_lib.exceptions import ServiceUnavailable
from shared_lib.money import Money

Status = Reservation.Status
Kind = StockMovement.Kind

# `offered` looks without a lock: buyers of what is sold out never queue for its row. `claimed` comes before any stock
# lock, as everywhere. When `moved` stays empty although `claimed` is not, the caller must roll back.
_RESERVE = f"""
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest(%(variants)s::uuid[], %(quantities)s::bigint[]) AS w (variant_id, quantity)
), offered AS MATERIALIZED (
    SELECT a.variant_id, a.quantity, v.product_id, p.seller_id, v.sku, p.currency, v.price_amount, v.weight_grams,
           p.name || CASE WHEN v.name = '' THEN '' ELSE ' (' || v.name || ')' END AS name
    FROM asked a
    JOIN catalog_variant v ON v.id = a.variant_id AND v.deleted_at IS NULL
    JOIN catalog_product p ON p.id = v.product_id AND p.status = 'published'
    JOIN catalog_stock s ON s.variant_id = v.id AND s.on_hand - s.reserved >= a.quantity
), claimed AS (
    INSERT INTO catalog_reservation (order_id, status, order_version, expires_at, counted, created_at, updated_at)
    SELECT %(reference)s::uuid, 'reserved', 0, %(expires_at)s::timestamptz, false, now(), now()
    WHERE (SELECT count(*) FROM offered) = (SELECT count(*) FROM asked)
    ON CONFLICT (order_id) DO NOTHING
    RETURNING order_id
), wanted AS MATERIALIZED (
    SELECT variant_id, quantity, 'reserved' AS kind, %(reference)s::uuid AS reference
    FROM offered WHERE EXISTS (SELECT FROM claimed)
), {stock.MOVE}, lines AS (
    INSERT INTO catalog_reservationline
        (reservation_id, variant_id, product_id, seller_id, sku, name, quantity, unit_price_amount, currency, weight_grams)
    SELECT %(reference)s::uuid, o.variant_id, o.product_id, o.seller_id, o.sku, o.name, o.quantity, o.price_amount,
           o.currency, o.weight_grams
    FROM offered o JOIN moved m ON m.variant_id = o.variant_id
)
SELECT m.variant_id, o.product_id, o.seller_id, m.on_hand, m.reserved, m.version, m.before, m.available,
       o.sku, o.name, o.quantity, o.price_amount, o.currency, o.weight_grams
FROM moved m JOIN offered o ON o.variant_id = m.variant_id
ORDER BY m.variant_id
"""  # noqa: S608 - made of constants

_ATTEMPTS = 5


class _NotTaken(Exception):
    """Nothing was reserved; the transaction rolls back."""


def reserve(
    *, order_id: UUID, lines: Iterable[contract.ReservationLineRequest]
) -> tuple[contract.Reservation, bool]:
    """Holds every line for `order_id`, or none, at the prices, names and weights of this moment.

    Gives the reservation and whether it is new: the same order again gets the one it has. Lines of one variant add up.
    Raises `OutOfStock` with the lines that fall short, and `ReservationClosed` when the order's was sold or released.
    """
    quantities = summed(lines)
    for _ in range(_ATTEMPTS):
        try:
            return _take(order_id, quantities), True
        except _NotTaken:
            pass
        existing = Reservation.objects.filter(pk=order_id).first()
        if existing is not None:
            if existing.status != Status.RESERVED:
                raise ReservationClosed
            return _as_contract(existing), False
        shortages = _shortages(quantities)
        if shortages:
            raise OutOfStock(lines=shortages)
        # Somebody gave back in between what was missing: once more.
    raise ServiceUnavailable("These products change hands too quickly at the moment.", retry_after=1)


@committing("reserve.commit")
def _take(order_id: UUID, quantities: Mapping[UUID, int]) -> contract.Reservation:
    expires_at = timezone.now() + timedelta(seconds=settings.RESERVATION_BACKSTOP_SECONDS)
    parameters: dict[str, Any] = {
        "reference": order_id,
        "variants": list(quantities),
        "quantities": list(quantities.values()),
        "expires_at": expires_at,
        "actor": None,
        "reason": "",
    }
    with connection.cursor() as cursor:
        cursor.execute(_RESERVE, parameters)
        rows = cursor.fetchall()
    if not rows:
        raise _NotTaken
    publish_all(stock.events_of(stock.Level(*row[:8]) for row in rows))
    taken = [
        contract.ReservedLine(
            variant_id=row[0],
            product_id=row[1],
            seller_id=row[2],
            sku=row[8],
            name=row[9],
            quantity=row[10],
            unit_price=Money(row[11], row[12]),
            weight_grams=row[13],
        )
        for row in rows
    ]
    return contract.Reservation(order_id=order_id, lines=taken, expires_at=expires_at)


def _as_contract(reservation: Reservation) -> contract.Reservation:
    lines = [
        contract.ReservedLine(
            variant_id=line.variant_id,
            product_id=line.product_id,
            seller_id=line.seller_id,
            sku=line.sku,
            name=line.name,
            quantity=line.quantity,
            unit_price=Money(line.unit_price_amount, line.currency),
            weight_grams=line.weight_grams,
        )
        for line in reservation.lines.order_by("variant_id")
    ]
    return contract.Reservation(
        order_id=reservation.order_id, lines=lines, expires_at=cast("datetime", reservation.expires_at)
    )


def _shortages(quantities: Mapping[UUID, int]) -> list[dict[str, object]]:
    sold = Variant.objects.filter(pk__in=quantities, product__status="published").values_list(
        "pk", "stock__on_hand", "stock__reserved"
    )
    available = {pk: on_hand - reserved for pk, on_hand, reserved in sold if on_hand is not None}
    return [
        {"variant_id": str(variant_id), "requested": requested, "available": available.get(variant_id, 0)}
        for variant_id, requested in quantities.items()
        if available.get(variant_id, 0) < requested
    ]


@committing("undo.commit")
def undo_reservation(*, order_id: UUID) -> None:
    """Gives back what a draft holds, and sees to it that a reservation which arrives later takes nothing.

    Doing it again changes nothing. Raises `ReservationClosed` when it was sold: that is undone by `order.cancelled`.
    """
    reservation = _locked(order_id)
    if reservation.status == Status.SOLD:
        raise ReservationClosed
    if reservation.status == Status.RESERVED:
        _release(order_id)


def release_expired(*, limit: int = 1000) -> int:
    """Frees reservations that nobody decided on in time, the backstop behind svc-orders' own clock. Says how many.

    Each is a transaction of its own; those that another process works on are left to it.
    """
    released = 0
    while released < limit and _release_one_expired():
        released += 1
    return released


@committing("expire.commit")
def _release_one_expired() -> bool:
    due = (
        Reservation.objects.select_for_update(skip_locked=True, no_key=True)
        .filter(status=Status.RESERVED, expires_at__lte=timezone.now())
        .order_by("expires_at")
        .first()
    )
    if due is None:
        return False
    _release(due.order_id)
    return True


def _locked(order_id: UUID) -> Reservation:
    """The order's reservation under its row lock; a new tombstone where there is none."""
    [reservation] = Reservation.objects.raw(
        """
        INSERT INTO catalog_reservation (order_id, status, order_version, counted, created_at, updated_at)
        VALUES (%s, 'released', 0, false, now(), now())
        ON CONFLICT (order_id) DO UPDATE SET updated_at = now()
        RETURNING *
        """,
        [order_id],
    )
    return reservation


def _release(order_id: UUID) -> None:
    """Frees what a reservation holds whose row this transaction has locked."""
    publish_all(stock.events_of(close([Closing(order_id, Status.RELEASED, Kind.RELEASED)])))
