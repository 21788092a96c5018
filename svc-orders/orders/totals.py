"""What an order costs: integer arithmetic in minor units, nothing is lost and nothing is made by rounding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from shared_lib.contracts.internal.cart import CartCoupon
from shared_lib.money import Money, divide_half_up, spread

_BASIS = 10_000


@dataclass(frozen=True, slots=True)
class TaxRule:
    """`rate` in basis points (2000 is 20 %). `included`: prices already hold the tax. Shipping is taxed or not."""

    rate: int
    included: bool
    on_shipping: bool


# One rate a country: that of goods in general. Countries that are missing are sold to without tax.
TAX_RULES = {
    "GB": TaxRule(rate=2000, included=True, on_shipping=True),
    "DE": TaxRule(rate=1900, included=True, on_shipping=True),
    "CN": TaxRule(rate=1300, included=True, on_shipping=True),
    "US": TaxRule(rate=700, included=False, on_shipping=False),
}
_NO_TAX = TaxRule(rate=0, included=False, on_shipping=False)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one line of an order costs before any discount."""

    variant_id: UUID
    total: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Amounts in minor units of `currency`. `total = subtotal - discount + shipping + tax`; `tax_included` adds nothing.

    `line_discounts` and `line_taxes` have one amount for each line, in their order. The discounts sum to `discount`; the taxes
    with `shipping_tax` to `tax + tax_included`, of which one is 0. `coupon_codes` are those that took something. Free shipping
    is no discount: `shipping` is 0.
    """

    currency: str
    subtotal: int
    discount: int
    shipping: int
    tax: int
    tax_included: int
    line_discounts: tuple[int, ...]
    line_taxes: tuple[int, ...]
    shipping_tax: int
    coupon_codes: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        return self.subtotal - self.discount + self.shipping + self.tax

    def document(self) -> dict[str, dict[str, int | str]]:
        """The six totals as the public contract writes them."""
        return {
            name: money_document(getattr(self, name), self.currency)
            for name in ("subtotal", "discount", "shipping", "tax", "tax_included", "total")
        }


def money_document(amount: int, currency: str) -> dict[str, int | str]:
    return {"amount": amount, "currency": currency}


def compute_totals(
    costs: Sequence[Cost], *, shipping: Money, country: str, coupons: Iterable[CartCoupon] = ()
) -> Totals:
    """The totals of lines that cost `costs`, shipped to `country` for `shipping`, with `coupons` in the order of the cart.

    Tax is on what the coupons leave: rounded once, half up, for the whole order, then spread over lines and shipping by
    largest remainder. Raises `shared_lib.money.CurrencyMismatch`.
    """
    subtotal = sum((cost.total for cost in costs), Money.zero(shipping.currency))
    left = _Left(costs, shipping)
    codes = tuple(coupon.code for coupon in coupons if left.take(coupon))
    rule = TAX_RULES.get(country, _NO_TAX)
    taxed = [*left.lines, left.shipping if rule.on_shipping else 0]
    base = sum(taxed)
    if rule.included:
        tax = base - divide_half_up(base * _BASIS, _BASIS + rule.rate)
    else:
        tax = divide_half_up(base * rule.rate, _BASIS)
    *line_taxes, shipping_tax = spread(tax, taxed)
    return Totals(
        currency=shipping.currency,
        subtotal=subtotal.amount,
        discount=subtotal.amount - sum(left.lines),
        shipping=left.shipping,
        tax=0 if rule.included else tax,
        tax_included=tax if rule.included else 0,
        line_discounts=tuple(cost.total.amount - rest for cost, rest in zip(costs, left.lines, strict=True)),
        line_taxes=tuple(line_taxes),
        shipping_tax=shipping_tax,
        coupon_codes=codes,
    )


class _Left:
    """What the coupons so far have left of each line and of shipping."""

    def __init__(self, costs: Sequence[Cost], shipping: Money) -> None:
        self._costs = costs
        self._currency = shipping.currency
        self.lines = [cost.total.amount for cost in costs]
        self.shipping = shipping.amount

    def take(self, coupon: CartCoupon) -> bool:
        """Whether the coupon took something. The rules are those of `shared_lib.contracts.internal.cart.CartCoupon`."""
        wanted = None if coupon.variant_ids is None else set(coupon.variant_ids)
        lines = [i for i, cost in enumerate(self._costs) if wanted is None or cost.variant_id in wanted]
        before = sum(self._costs[i].total.amount for i in lines)
        if not lines or before < self._amount(coupon.minimum):
            return False
        if coupon.kind == "free_shipping":
            taken, self.shipping = self.shipping, 0
            return taken > 0
        weights = [self.lines[i] for i in lines]
        if coupon.kind == "percent":
            taken = min(divide_half_up(sum(weights) * coupon.basis_points, _BASIS), sum(weights))
        else:
            taken = min(self._amount(coupon.amount), sum(weights))
        for i, part in zip(lines, spread(taken, weights), strict=True):
            self.lines[i] -= part
        return taken > 0

    def _amount(self, money: Money | None) -> int:
        return 0 if money is None else (money + Money.zero(self._currency)).amount
