"""Reservations: stock held for an order, every line or none, until the order is decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from catalog.exceptions import OutOfStock, ReservationClosed
from catalog.models import Reservation, ReservationLine, StockMovement, StockShortage, Variant
from catalog.services import stock
from shared_lib.contracts.events import OrderLine
from shared_lib.contracts.internal import catalog as contract
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
    SELECT variant_id, quantity FROM offered WHERE EXISTS (SELECT FROM claimed)
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

_CLOSE = f"""
WITH closed AS (
    UPDATE catalog_reservation
    SET status = %(after)s, order_version = COALESCE(%(order_version)s::bigint, order_version), updated_at = now()
    WHERE order_id = %(reference)s::uuid AND status = %(before)s
      AND (%(order_version)s::bigint IS NULL OR order_version < %(order_version)s::bigint)
    RETURNING order_id
), wanted AS MATERIALIZED (
    SELECT l.variant_id, l.quantity FROM catalog_reservationline l JOIN closed ON l.reservation_id = closed.order_id
), {stock.MOVE}
SELECT m.variant_id, v.product_id, p.seller_id, m.on_hand, m.reserved, m.version, m.before, m.available
FROM closed LEFT JOIN (
    moved m JOIN catalog_variant v ON v.id = m.variant_id JOIN catalog_product p ON p.id = v.product_id
) ON true
ORDER BY m.variant_id
"""  # noqa: S608 - made of constants

_COUNT_SALES = """
WITH claimed AS (
    SELECT order_id FROM catalog_reservation WHERE status = 'sold' AND NOT counted
    ORDER BY order_id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
), marked AS (
    UPDATE catalog_reservation r SET counted = true FROM claimed c WHERE r.order_id = c.order_id
), sold AS (
    SELECT l.product_id, sum(l.quantity) AS units
    FROM catalog_reservationline l JOIN claimed c ON c.order_id = l.reservation_id
    GROUP BY l.product_id
), locked AS MATERIALIZED (
    SELECT p.id, s.units FROM catalog_product p JOIN sold s ON s.product_id = p.id ORDER BY p.id FOR NO KEY UPDATE OF p
), raised AS (
    UPDATE catalog_product p SET popularity = p.popularity + l.units FROM locked l WHERE p.id = l.id
)
SELECT count(*) FROM claimed
"""

_ATTEMPTS = 5


class _NotTaken(Exception):
    """Nothing was reserved; the transaction rolls back."""


class StockMismatch(RuntimeError):
    """Reservations and stock contradict each other. Nothing is changed; it needs a person."""


def reserve(
    *, order_id: UUID, lines: Iterable[contract.ReservationLineRequest]
) -> tuple[contract.Reservation, bool]:
    """Holds every line for `order_id`, or none, at the prices, names and weights of this moment.

    Gives the reservation and whether it is new: the same order again gets the one it has. Lines of one variant add up.
    Raises `OutOfStock` with the lines that fall short, and `ReservationClosed` when the order's was sold or released.
    """
    quantities = _sum(lines)
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


@transaction.atomic
def _take(order_id: UUID, quantities: Mapping[UUID, int]) -> contract.Reservation:
    expires_at = timezone.now() + timedelta(seconds=settings.RESERVATION_BACKSTOP_SECONDS)
    parameters = {
        **stock.move_parameters(Kind.RESERVED, reference=order_id),
        "variants": list(quantities),
        "quantities": list(quantities.values()),
        "expires_at": expires_at,
    }
    with connection.cursor() as cursor:
        cursor.execute(_RESERVE, parameters)
        rows = cursor.fetchall()
    if not rows:
        raise _NotTaken
    stock.publish_levels(stock.Level(*row[:8]) for row in rows)
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


@transaction.atomic
def undo_reservation(*, order_id: UUID) -> None:
    """Gives back what a draft holds, and sees to it that a reservation which arrives later takes nothing.

    Doing it again changes nothing. Raises `ReservationClosed` when it was sold: that is undone by `order.cancelled`.
    """
    if _close(order_id, Status.RESERVED, Status.RELEASED, Kind.RELEASED):
        return
    reservation = _locked(order_id)
    if reservation.status == Status.RESERVED:
        _close(order_id, Status.RESERVED, Status.RELEASED, Kind.RELEASED)
    elif reservation.status == Status.SOLD:
        raise ReservationClosed


@transaction.atomic
def sell_reservation(*, order_id: UUID, order_version: int, lines: Iterable[OrderLine]) -> None:
    """The order was confirmed: what was held leaves the stock.

    Where nothing is held any more it is taken again if every line is still there; if not, the shortage is recorded and
    nothing is taken. An event older than one already applied changes nothing.
    """
    if _close(order_id, Status.RESERVED, Status.SOLD, Kind.SOLD, order_version=order_version):
        return
    reservation = _locked(order_id)
    if reservation.order_version >= order_version:
        return
    if reservation.status == Status.RESERVED:
        _close(order_id, Status.RESERVED, Status.SOLD, Kind.SOLD, order_version=order_version)
        return
    if reservation.status == Status.RELEASED:
        _retake(reservation, list(lines))
    reservation.order_version = order_version
    reservation.save(update_fields=["status", "order_version", "updated_at"])


def _retake(reservation: Reservation, lines: list[OrderLine]) -> None:
    quantities = _sum(lines)
    if stock.move(quantities, Kind.RETAKEN, reference=reservation.order_id):
        reservation.status = Status.SOLD
        prices = {line.variant_id: line for line in lines}
        variants = Variant.all_objects.filter(pk__in=quantities).select_related("product")
        ReservationLine.objects.bulk_create(
            [
                ReservationLine(
                    reservation=reservation,
                    variant=variant,
                    product_id=variant.product_id,
                    seller_id=variant.product.seller_id,
                    sku=variant.sku,
                    name=variant.full_name,
                    quantity=quantities[variant.pk],
                    unit_price_amount=prices[variant.pk].unit_price.amount,
                    currency=prices[variant.pk].unit_price.currency,
                    weight_grams=variant.weight_grams,
                )
                for variant in variants
            ],
            ignore_conflicts=True,
        )
        return
    known = Variant.all_objects.filter(pk__in=quantities).values_list(
        "pk", "stock__on_hand", "stock__reserved"
    )
    StockShortage.objects.bulk_create(
        [
            StockShortage(
                order_id=reservation.order_id,
                variant_id=pk,
                quantity=quantities[pk],
                available=on_hand - reserved,
            )
            for pk, on_hand, reserved in known
            if on_hand - reserved < quantities[pk]
        ],
        ignore_conflicts=True,
    )


@transaction.atomic
def cancel_reservation(*, order_id: UUID, order_version: int) -> None:
    """The order was cancelled: what was held is free again, what was sold is back on hand.

    Leaves a tombstone where there is no reservation yet. An event older than one already applied changes nothing.
    """
    for _ in range(2):
        if _close(order_id, Status.RESERVED, Status.RELEASED, Kind.RELEASED, order_version=order_version):
            return
        if _close(order_id, Status.SOLD, Status.RELEASED, Kind.RESTOCKED, order_version=order_version):
            return
        reservation = _locked(order_id)
        if reservation.order_version >= order_version:
            return
        if reservation.status == Status.RELEASED:
            reservation.order_version = order_version
            reservation.save(update_fields=["order_version", "updated_at"])
            return


@transaction.atomic
def take_return(*, return_id: UUID, lines: Iterable[OrderLine]) -> None:
    """What came back and may be sold again is on hand again. The same return twice breaks a constraint, never the stock."""
    quantities = _sum(lines)
    if quantities and not stock.move(quantities, Kind.RETURNED, reference=return_id):
        raise LookupError(
            f"return {return_id} names variants that were never here: {sorted(map(str, quantities))}"
        )


def release_expired(*, limit: int = 1000) -> int:
    """Frees reservations that nobody decided on in time, the backstop behind svc-orders' own clock. Says how many.

    Each is a transaction of its own; those that another process works on are left to it.
    """
    released = 0
    while released < limit:
        with transaction.atomic():
            due = (
                Reservation.objects.select_for_update(skip_locked=True, no_key=True)
                .filter(status=Status.RESERVED, expires_at__lte=timezone.now())
                .order_by("expires_at")
                .first()
            )
            if due is None:
                return released
            _close(due.order_id, Status.RESERVED, Status.RELEASED, Kind.RELEASED)
        released += 1
    return released


def count_sales(*, limit: int = 500) -> int:
    """Adds the units of newly sold orders to `Product.popularity`, each order once. Says how many orders it counted."""
    counted = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_COUNT_SALES, {"limit": limit})
            [batch] = cursor.fetchone()
        counted += batch
        if batch < limit:
            return counted


def _sum(lines: Iterable[contract.ReservationLineRequest | OrderLine]) -> dict[UUID, int]:
    quantities: dict[UUID, int] = {}
    for line in lines:
        quantities[line.variant_id] = quantities.get(line.variant_id, 0) + line.quantity
    return quantities


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


def _close(
    order_id: UUID,
    before: Status,
    after: Status,
    kind: StockMovement.Kind,
    *,
    order_version: int | None = None,
) -> bool:
    """Takes the reservation from `before` to `after` and moves its lines, in one statement.

    False: it is not `before`, or has seen a later event. Raises `StockMismatch` when the stock does not hold what the
    reservation says.
    """
    parameters = {
        **stock.move_parameters(kind, reference=order_id),
        "before": before.value,
        "after": after.value,
        "order_version": order_version,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CLOSE, parameters)
        rows = cursor.fetchall()
    if not rows:
        return False
    if rows[0][0] is None:
        raise StockMismatch(f"the stock does not hold what order {order_id} reserved")
    stock.publish_levels(stock.Level(*row) for row in rows)
    return True
