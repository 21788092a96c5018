"""Orders against payments: nobody pays for nothing, nothing is sold unpaid, and what has to go back goes back."""

from __future__ import annotations

from audit.invariants.orders import ORDERS
from audit.model import Match, Row, Source, Verdict, invariant

PAYMENTS = "svc-payments"

_CONFIRMED = frozenset({"confirmed", "shipped", "delivered"})
_HAS_MONEY = frozenset({"paid", "partially_refunded", "refunded"})
# An action at the provider is not a state that svc-orders has to know.
_OPEN = {"requires_action": "requires_payment_method"}

_ORDERS = Source(
    ORDERS,
    """
    SELECT id::text, extract(epoch FROM updated_at)::float8, status, payment_status, currency || ' ' || total_amount, total_amount
    FROM orders_order ORDER BY id
    """,
)
# Of each order that money was taken for: what each payment was of, and how much of all of it is still here.
_TAKEN = Source(
    PAYMENTS,
    """
    SELECT order_id::text, extract(epoch FROM max(updated_at))::float8, array_agg(currency || ' ' || payment_amount),
           sum(payment_amount - refunded_amount)::bigint
    FROM payments_payment WHERE status = 'succeeded' GROUP BY order_id ORDER BY order_id
    """,
)


def _paid_order_has_its_money(order: Row | None, taken: Row | None) -> int | tuple[str, str]:
    if order is None:
        return Verdict.SKIP
    _, _, status, payment_status, total, _ = order
    if status not in _CONFIRMED and payment_status not in _HAS_MONEY:
        return Verdict.SKIP
    if taken is not None and total in taken[2]:
        return Verdict.HOLDS
    return (
        f"{status}: a payment of {total}",
        "none" if taken is None else f"payments of {', '.join(taken[2])}",
    )


def _money_has_an_order(order: Row | None, taken: Row | None) -> int | tuple[str, str]:
    if taken is None:
        return Verdict.SKIP
    if order is None:
        return "an order", f"none, and payments of {', '.join(taken[2])}"
    if order[2] == "awaiting_payment":
        return "confirmed", "awaiting_payment"
    return Verdict.HOLDS


def _ended_order_keeps_no_money(order: Row | None, taken: Row | None) -> int | tuple[str, str]:
    if order is None or order[2] not in ("cancelled", "draft"):
        return Verdict.SKIP
    if taken is None or taken[3] == 0:
        return Verdict.HOLDS
    return f"{order[2]}: 0 kept", f"{taken[3]} kept"


def _order_keeps_its_total_at_most(order: Row | None, taken: Row | None) -> int | tuple[str, str]:
    if order is None or taken is None or order[2] not in _CONFIRMED:
        return Verdict.SKIP
    return Verdict.HOLDS if taken[3] <= order[5] else (f"{order[5]} kept at most", f"{taken[3]} kept")


def _order_shows_what_went_back(order: Row | None, taken: Row | None) -> int | tuple[str, str]:
    if order is None or taken is None or order[2] not in _CONFIRMED or order[4] not in taken[2]:
        return Verdict.SKIP
    kept = taken[3]
    if kept <= 0 < order[5]:
        shown = "refunded"
    elif kept < order[5]:
        shown = "partially_refunded"
    else:
        shown = "paid"
    return Verdict.HOLDS if order[3] == shown else (f"{shown} ({kept} of {order[5]} kept)", order[3])


_OURS = Source(
    ORDERS,
    """
    SELECT id::text, extract(epoch FROM updated_at)::float8, status, order_id::text, currency || ' ' || amount, refunded_amount
    FROM orders_orderpayment ORDER BY id
    """,
)
_THEIRS = Source(
    PAYMENTS,
    """
    SELECT id::text, extract(epoch FROM updated_at)::float8, status, order_id::text, currency || ' ' || payment_amount,
           refunded_amount
    FROM payments_payment ORDER BY id
    """,
)


def _payment_is_known_to_both(ours: Row | None, theirs: Row | None) -> int | tuple[str, str]:
    """Only what is canceled may be missing: a tombstone there, a checkout that was undone here."""
    if ours is None and theirs is not None and theirs[2] != "canceled":
        return "canceled, or known to svc-orders", f"{theirs[2]}, not known to svc-orders"
    if theirs is None and ours is not None and ours[2] != "canceled":
        return "canceled, or known to svc-payments", f"{ours[2]}, not known to svc-payments"
    return Verdict.HOLDS


def _payment_is_the_same_to_both(ours: Row | None, theirs: Row | None) -> int | tuple[str, str]:
    if ours is None or theirs is None:
        return Verdict.SKIP
    here = (_OPEN.get(ours[2], ours[2]), *ours[3:])
    there = (_OPEN.get(theirs[2], theirs[2]), *theirs[3:])
    if here == there:
        return Verdict.HOLDS
    return _payment_text(theirs), f"at svc-orders {_payment_text(ours)}"


def _payment_text(row: Row) -> str:
    return f"{row[2]}, {row[4]}, {row[5]} refunded, of order {row[3]}"


_WANTED = Source(
    ORDERS,
    """
    SELECT id::text, extract(epoch FROM updated_at)::float8, status, payment_id::text, currency || ' ' || amount
    FROM orders_refund ORDER BY id
    """,
)
_MADE = Source(
    PAYMENTS,
    """
    SELECT id::text, extract(epoch FROM updated_at)::float8, status, payment_id::text, currency || ' ' || refund_amount
    FROM payments_refund ORDER BY id
    """,
)


def _refund_is_known_to_both(wanted: Row | None, made: Row | None) -> int | tuple[str, str]:
    """Only what failed may be missing: svc-payments keeps nothing of a refund that it refuses."""
    if wanted is None and made is not None and made[2] != "failed":
        return "failed, or known to svc-orders", f"{made[2]}, not known to svc-orders"
    if made is None and wanted is not None and wanted[2] != "failed":
        return "failed, or known to svc-payments", f"{wanted[2]}, not known to svc-payments"
    return Verdict.HOLDS


def _refund_is_the_same_to_both(wanted: Row | None, made: Row | None) -> int | tuple[str, str]:
    if wanted is None or made is None:
        return Verdict.SKIP
    asked = "pending" if wanted[2] == "accepted" else wanted[2]
    if (asked, *wanted[3:]) == (made[2], *made[3:]):
        return Verdict.HOLDS
    return _refund_text(made), f"at svc-orders {_refund_text(wanted)}"


def _refund_text(row: Row) -> str:
    return f"{row[2]}, {row[4]}, of payment {row[3]}"


MONEY_INVARIANTS = (
    invariant(
        "paid-order-has-its-money",
        "An order that is paid has a payment that succeeded, of exactly its total.",
        Match(_ORDERS, _TAKEN, _paid_order_has_its_money, ORDERS),
    ),
    invariant(
        "money-has-an-order",
        "A payment that succeeded belongs to an order that no longer waits for it.",
        Match(_ORDERS, _TAKEN, _money_has_an_order, PAYMENTS),
    ),
    invariant(
        "ended-order-keeps-no-money",
        "Of a cancelled order, or one that never came to be, no money is kept.",
        Match(_ORDERS, _TAKEN, _ended_order_keeps_no_money, ORDERS),
    ),
    invariant(
        "order-keeps-its-total-at-most",
        "No more is kept of what was paid for an order than its total.",
        Match(_ORDERS, _TAKEN, _order_keeps_its_total_at_most, PAYMENTS),
    ),
    invariant(
        "order-shows-what-went-back",
        "An order is shown as paid, partially refunded or refunded as its money is.",
        Match(_ORDERS, _TAKEN, _order_shows_what_went_back, ORDERS),
    ),
    invariant(
        "payment-is-known-to-both",
        "Both svc-orders and svc-payments know every payment, but for canceled ones.",
        Match(_OURS, _THEIRS, _payment_is_known_to_both, PAYMENTS),
    ),
    invariant(
        "payment-is-the-same-to-both",
        "A payment has one order, amount, state and sum of refunds, whichever of both services is asked.",
        Match(_OURS, _THEIRS, _payment_is_the_same_to_both, ORDERS),
    ),
    invariant(
        "refund-is-known-to-both",
        "Both svc-orders and svc-payments know every refund, but for failed ones.",
        Match(_WANTED, _MADE, _refund_is_known_to_both, ORDERS),
    ),
    invariant(
        "refund-is-the-same-to-both",
        "A refund has one payment, amount and outcome, whichever of both services is asked.",
        Match(_WANTED, _MADE, _refund_is_the_same_to_both, ORDERS),
    ),
)
