"""Every invariant, by area, in the order in which an audit tells of them."""

from __future__ import annotations

from audit.invariants.accounts import ACCOUNT_INVARIANTS
from audit.invariants.coupons import COUPON_INVARIANTS
from audit.invariants.events import EVENT_INVARIANTS
from audit.invariants.ledger import LEDGER_INVARIANTS
from audit.invariants.money import MONEY_INVARIANTS
from audit.invariants.notifications import NOTIFICATION_INVARIANTS
from audit.invariants.orders import ORDER_INVARIANTS
from audit.invariants.progress import PROGRESS_INVARIANTS
from audit.invariants.shelves import SHELF_INVARIANTS
from audit.invariants.stock import STOCK_INVARIANTS
from audit.model import Invariant

INVARIANTS: tuple[Invariant, ...] = (
    *ORDER_INVARIANTS,
    *MONEY_INVARIANTS,
    *LEDGER_INVARIANTS,
    *STOCK_INVARIANTS,
    *SHELF_INVARIANTS,
    *COUPON_INVARIANTS,
    *NOTIFICATION_INVARIANTS,
    *ACCOUNT_INVARIANTS,
    *EVENT_INVARIANTS,
    *PROGRESS_INVARIANTS,
)
