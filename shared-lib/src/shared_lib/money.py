"""Money as integer minor units of an ISO 4217 currency. Never a float."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

# ISO 4217 exponents that differ from 2.
_EXPONENTS = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0,
    "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
}  # fmt: skip


class CurrencyMismatch(ValueError):
    """Two amounts of different currencies were combined or compared."""


class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An amount in minor units (cents, yen, fils) of one currency.

    Arithmetic between two currencies raises `CurrencyMismatch`; multiplication takes integers only.
    """

    amount: int
    currency: str

    @classmethod
    def zero(cls, currency: str) -> Money:
        return cls(0, currency)

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} cannot be combined")

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount - other.amount, self.currency)

    def __mul__(self, factor: int) -> Money:
        if isinstance(factor, bool) or not isinstance(factor, int):
            raise TypeError("money is multiplied by an integer only")
        return Money(self.amount * factor, self.currency)

    __rmul__ = __mul__

    def __neg__(self) -> Money:
        return Money(-self.amount, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same(other)
        return self.amount < other.amount

    def __le__(self, other: Money) -> bool:
        self._same(other)
        return self.amount <= other.amount

    @property
    def exponent(self) -> int:
        """Digits after the decimal separator of the currency."""
        return _EXPONENTS.get(self.currency, 2)

    def format(self) -> str:
        """Plain text such as `19.99 USD` or `1200 JPY`."""
        sign = "-" if self.amount < 0 else ""
        digits = str(abs(self.amount)).rjust(self.exponent + 1, "0")
        if self.exponent:
            digits = f"{digits[: -self.exponent]}.{digits[-self.exponent :]}"
        return f"{sign}{digits} {self.currency}"


def divide_half_up(numerator: int, denominator: int) -> int:
    """The quotient of two amounts of 0 or more, rounded to the nearest integer, a half upwards."""
    return (2 * numerator + denominator) // (2 * denominator)


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
