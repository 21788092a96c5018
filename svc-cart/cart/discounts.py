"""What coupons take of a cart, as `shared_lib.contracts.internal.cart.CartCoupon` says: integers in minor units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cart.models import CouponKind
from shared_lib.money import divide_half_up, spread

_BASIS = 10_000


class Reason(StrEnum):
    """Why a coupon takes nothing, or may not be put into a cart. Part of the public contract."""

    UNKNOWN = "unknown"
    STOPPED = "stopped"
    NOT_STARTED = "not_started"
    EXPIRED = "expired"
    LIMIT_REACHED = "limit_reached"
    USER_LIMIT_REACHED = "user_limit_reached"
    TOO_MANY = "too_many"
    NOT_COMBINABLE = "not_combinable"
    NO_MATCHING_LINES = "no_matching_lines"
    MINIMUM_NOT_MET = "minimum_not_met"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A coupon for one user at one moment. `barred` says why that user may not use it then, whatever the cart holds.

    `categories` is None for all products.
    """

    code: str
    kind: str
    basis_points: int = 0
    fixed: int = 0
    minimum: int = 0
    categories: frozenset[str] | None = None
    exclusive: bool = False
    stackable_with: frozenset[str] = frozenset()
    barred: Reason | None = None

    def takes_from(self, category: str) -> bool:
        return self.categories is None or category in self.categories

    def goes_with(self, other: Rule) -> bool:
        return self._permits(other) and other._permits(self)

    def _permits(self, other: Rule) -> bool:
        return not self.exclusive and (not self.stackable_with or other.code in self.stackable_with)


@dataclass(frozen=True, slots=True)
class Part:
    """A line of a cart: the category of its product, and what it costs in all."""

    category: str
    total: int


@dataclass(frozen=True, slots=True)
class Effect:
    """What one coupon does: `reason` is None when it applies, else it takes nothing. Free shipping takes nothing here."""

    rule: Rule
    discount: int = 0
    reason: Reason | None = None


def usable(rules: Iterable[Rule]) -> list[tuple[Rule, Reason | None]]:
    """Each rule with what bars it, in their order: the user may not use it, or it does not go with an earlier usable one.

    The lines play no part, so that svc-orders, which has prices of its own, is told of the same coupons as the buyer.
    """
    verdicts: list[tuple[Rule, Reason | None]] = []
    used: list[Rule] = []
    for rule in rules:
        reason = rule.barred
        if reason is None and not all(rule.goes_with(earlier) for earlier in used):
            reason = Reason.NOT_COMBINABLE
        if reason is None:
            used.append(rule)
        verdicts.append((rule, reason))
    return verdicts


def apply(rules: Iterable[Rule], parts: Sequence[Part]) -> list[Effect]:
    """The effect of each rule on lines that cost `parts`, in order, each on what the ones before have left."""
    left = [part.total for part in parts]
    effects = []
    for rule, bar in usable(rules):
        lines = [index for index, part in enumerate(parts) if rule.takes_from(part.category)]
        reason = bar or _misses(rule, [parts[index].total for index in lines])
        if reason is not None:
            effects.append(Effect(rule, reason=reason))
            continue
        weights = [left[index] for index in lines]
        discount = _discount(rule, sum(weights))
        for index, share in zip(lines, spread(discount, weights), strict=True):
            left[index] -= share
        effects.append(Effect(rule, discount))
    return effects


def _misses(rule: Rule, totals: Sequence[int]) -> Reason | None:
    if not totals:
        return Reason.NO_MATCHING_LINES
    return Reason.MINIMUM_NOT_MET if sum(totals) < rule.minimum else None


def _discount(rule: Rule, left: int) -> int:
    match rule.kind:
        case CouponKind.PERCENT:
            return divide_half_up(left * rule.basis_points, _BASIS)
        case CouponKind.FIXED:
            return min(rule.fixed, left)
        case _:
            return 0
