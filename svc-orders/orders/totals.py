"""What an order costs: integer arithmetic in minor units, nothing is lost and nothing is made by rounding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared_lib.money import Money

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Amounts in minor units of `currency`. `total = subtotal - discount + shipping + tax`; `tax_included` adds nothing.

    `line_taxes` (one for each line, in their order) and `shipping_tax` sum to `tax + tax_included`, of which one is 0.
    """

    currency: str
    subtotal: int
    discount: int
    shipping: int
    tax: int
    tax_included: int
    line_taxes: tuple[int, ...]
    shipping_tax: int

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


def compute_totals(line_totals: Sequence[Money], *, shipping: Money, country: str) -> Totals:
    """The totals of lines that cost `line_totals`, shipped to `country` for `shipping`.

    The tax is rounded once, half up, for the whole order, then spread over lines and shipping by largest remainder.
    Raises `shared_lib.money.CurrencyMismatch`.
    """
    subtotal = sum(line_totals, Money.zero(shipping.currency))
    rule = TAX_RULES.get(country, _NO_TAX)
    taxed = [line.amount for line in line_totals] + [shipping.amount if rule.on_shipping else 0]
    base = sum(taxed)
    if rule.included:
        tax = base - _divide_half_up(base * _BASIS, _BASIS + rule.rate)
    else:
        tax = _divide_half_up(base * rule.rate, _BASIS)
    *line_taxes, shipping_tax = spread(tax, taxed)
    return Totals(
        currency=shipping.currency,
        subtotal=subtotal.amount,
        discount=0,
        shipping=shipping.amount,
        tax=0 if rule.included else tax,
        tax_included=tax if rule.included else 0,
        line_taxes=tuple(line_taxes),
        shipping_tax=shipping_tax,
    )


def spread(amount: int, weights: Sequence[int]) -> list[int]:
    """`amount` (0 or more) in parts proportional to `weights` (0 or more each), by largest remainder; they sum to `amount`.

    Among equal remainders the earlier part gets the unit. Raises `ValueError` when there is something to spread but nothing
    to spread it over.
    """
    whole = sum(weights)
    if whole == 0:
        if amount:
            raise ValueError("nothing to spread the amount over")
        return [0] * len(weights)
    parts = [amount * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda index: -(amount * weights[index] % whole))
    for index in by_remainder[: amount - sum(parts)]:
        parts[index] += 1
    return parts


def _divide_half_up(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
