"""What became of orders: their stock is sold, free again, or back on hand, exactly once, however often and in whatever
order it is told.

Any number of orders are settled in one transaction that locks in the one order of all: reservations, stock, products.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias
from uuid import UUID

from catalog.models import Reservation, ReservationLine, StockMovement, StockShortage, Variant
from catalog.services import stock
from catalog.services.closing import Closing, close, lock, lock_stock
from catalog.services.quantities import summed
from catalog.services.stock import Move
from catalog.services.transactions import committing
from shared_lib.contracts import events as contract
from shared_lib.events import publish_all

Status = Reservation.Status
Kind = StockMovement.Kind
Decision: TypeAlias = contract.OrderConfirmed | contract.OrderCancelled
Fact: TypeAlias = Decision | contract.OrderReturnReceived

_CLOSINGS: dict[tuple[type[Decision], Status], tuple[Status, Kind]] = {
    (contract.OrderConfirmed, Status.RESERVED): (Status.SOLD, Kind.SOLD),
    (contract.OrderCancelled, Status.RESERVED): (Status.RELEASED, Kind.RELEASED),
    (contract.OrderCancelled, Status.SOLD): (Status.RELEASED, Kind.RESTOCKED),
}


@committing("settle.commit")
def settle_orders(*, facts: Iterable[Fact]) -> None:
    """Applies confirmations, cancellations and received returns.

    Of an order's confirmation and cancellation the newer one counts; one that is not newer than what the reservation has
    seen changes nothing. A confirmed order whose reservation is gone takes its units again if all of them are there; if
    not, nothing is taken and `stock.shortage` is published, once an order. A cancelled order without a reservation leaves
    a tombstone. A return counts once. Raises `StockMismatch` and changes nothing when one of them contradicts the stock.
    """
    facts = list(facts)
    newest: dict[UUID, Decision] = {}
    for fact in facts:
        if not isinstance(fact, contract.OrderReturnReceived):
            earlier = newest.setdefault(fact.order_id, fact)
            newest[fact.order_id] = max(earlier, fact, key=lambda each: each.version)
    statuses = lock((order_id, fact.version) for order_id, fact in newest.items()) if newest else {}

    closings: list[Closing] = []
    late: list[contract.OrderConfirmed] = []
    for order_id, status in statuses.items():
        fact = newest[order_id]
        if change := _CLOSINGS.get((type(fact), status)):
            closings.append(Closing(order_id, *change))
        elif isinstance(fact, contract.OrderConfirmed) and status is Status.RELEASED:
            late.append(fact)
    moves = _returned(fact for fact in facts if isinstance(fact, contract.OrderReturnReceived))
    events: list[tuple[contract.Event, object]] = []
    if late:
        retaken, events = _take_again(late, beside=closings, moves=moves)
        closings += [Closing(order_id, Status.SOLD, None) for order_id in retaken]
        moves += [move for its in retaken.values() for move in its]
    if closings or moves:
        events = stock.events_of(close(closings, moves)) + events
    publish_all(events)


def _returned(facts: Iterable[contract.OrderReturnReceived]) -> list[Move]:
    """What comes back on hand, without returns that did before."""
    returns = {fact.return_id: fact for fact in facts}
    if not returns:
        return []
    known = StockMovement.objects.filter(kind=Kind.RETURNED, reference__in=list(returns))
    done = set(known.values_list("reference", flat=True))
    return [
        Move(variant_id, quantity, Kind.RETURNED, return_id)
        for return_id, fact in returns.items()
        if return_id not in done
        for variant_id, quantity in summed(fact.lines).items()
    ]


def _take_again(
    late: Sequence[contract.OrderConfirmed], *, beside: Sequence[Closing], moves: Sequence[Move]
) -> tuple[dict[UUID, list[Move]], list[tuple[contract.Event, object]]]:
    """What late confirmations take, by order, each all of its lines or none, and the shortages of those that take nothing.

    Locks the stock of everything that this transaction changes. An order that was once short stays so: its buyer
    gets the money back.
    """
    short = set(
        StockShortage.objects.filter(order_id__in=[fact.order_id for fact in late]).values_list(
            "order_id", flat=True
        )
    )
    wanted = {fact.order_id: summed(fact.lines) for fact in late if fact.order_id not in short}
    available = lock_stock(
        {variant_id for lines in wanted.values() for variant_id in lines}
        | {move.variant_id for move in moves},
        [closing.order_id for closing in beside],
    )
    taken: dict[UUID, list[Move]] = {}
    missing: dict[UUID, dict[UUID, int]] = {}
    for order_id, lines in wanted.items():
        lacking = {
            variant_id: quantity - available.get(variant_id, 0)
            for variant_id, quantity in lines.items()
            if quantity > available.get(variant_id, 0)
        }
        if lacking:
            missing[order_id] = lacking
            continue
        for variant_id, quantity in lines.items():
            available[variant_id] -= quantity
            taken.setdefault(order_id, []).append(Move(variant_id, quantity, Kind.RETAKEN, order_id))
    _write_lines(fact for fact in late if fact.order_id in taken)
    StockShortage.objects.bulk_create(
        StockShortage(
            order_id=order_id,
            variant_id=variant_id,
            quantity=wanted[order_id][variant_id],
            available=wanted[order_id][variant_id] - lack,
        )
        for order_id, lacking in missing.items()
        for variant_id, lack in lacking.items()
        if variant_id in available
    )
    return taken, [_shortage(fact, missing[fact.order_id]) for fact in late if fact.order_id in missing]


def _shortage(fact: contract.OrderConfirmed, lacking: dict[UUID, int]) -> tuple[contract.Event, object]:
    products = {line.variant_id: line.product_id for line in fact.lines}
    lines = [
        contract.MissingStock(variant_id=variant_id, product_id=products[variant_id], missing=lack)
        for variant_id, lack in lacking.items()
    ]
    return contract.StockShortage(order_id=fact.order_id, lines=lines), fact.order_id


def _write_lines(facts: Iterable[contract.OrderConfirmed]) -> None:
    """The lines of confirmed orders, where their reservation has none."""
    ordered = [(fact.order_id, line) for fact in facts for line in fact.lines]
    variants = Variant.all_objects.select_related("product").in_bulk({line.variant_id for _, line in ordered})
    rows: dict[tuple[UUID, UUID], ReservationLine] = {}
    for order_id, line in ordered:
        if row := rows.get((order_id, line.variant_id)):
            row.quantity += line.quantity
            continue
        variant = variants[line.variant_id]
        rows[order_id, line.variant_id] = ReservationLine(
            reservation_id=order_id,
            variant=variant,
            product_id=variant.product_id,
            seller_id=variant.product.seller_id,
            sku=variant.sku,
            name=variant.full_name,
            quantity=line.quantity,
            unit_price_amount=line.unit_price.amount,
            currency=line.unit_price.currency,
            weight_grams=variant.weight_grams,
        )
    ReservationLine.objects.bulk_create(rows.values(), ignore_conflicts=True)
