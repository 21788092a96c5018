from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.totals import TAX_RULES, compute_totals, spread
from shared_lib.money import CurrencyMismatch, Money

AMOUNTS = st.integers(min_value=0, max_value=10**9)
COUNTRIES = st.sampled_from([*TAX_RULES, "FR"])


def _usd(*amounts: int) -> list[Money]:
    return [Money(amount, "USD") for amount in amounts]


@given(lines=st.lists(AMOUNTS, min_size=1, max_size=100), shipping=AMOUNTS, country=COUNTRIES)
def test_totals_add_up_to_the_cent(lines: list[int], shipping: int, country: str):
    totals = compute_totals(_usd(*lines), shipping=Money(shipping, "USD"), country=country)

    assert totals.total == totals.subtotal - totals.discount + totals.shipping + totals.tax
    assert totals.subtotal == sum(lines)
    assert sum(totals.line_taxes) + totals.shipping_tax == totals.tax + totals.tax_included
    assert 0 in (totals.tax, totals.tax_included)
    assert min(totals.discount, totals.tax, totals.tax_included, totals.shipping_tax, *totals.line_taxes) >= 0
    assert len(totals.line_taxes) == len(lines)


@given(lines=st.lists(AMOUNTS, min_size=1, max_size=20), shipping=AMOUNTS)
def test_included_tax_is_less_than_half_a_cent_from_exact(lines: list[int], shipping: int):
    totals = compute_totals(_usd(*lines), shipping=Money(shipping, "USD"), country="GB")

    gross = totals.subtotal + totals.shipping
    assert abs(totals.tax_included * 6 - gross) <= 3  # a sixth of a price that holds 20 %


@given(amount=AMOUNTS, weights=st.lists(AMOUNTS, min_size=1, max_size=50).filter(any))
def test_what_is_spread_is_neither_lost_nor_made_and_each_part_is_within_a_unit(
    amount: int, weights: list[int]
):
    parts = spread(amount, weights)

    assert sum(parts) == amount
    whole = sum(weights)
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * whole - amount * weight) < whole


def test_equal_remainders_go_to_the_earlier_lines():
    assert spread(2, [1, 1, 1]) == [1, 1, 0]


def test_there_must_be_something_to_spread_over():
    assert spread(0, [0, 0]) == [0, 0]
    with pytest.raises(ValueError, match="nothing to spread"):
        spread(1, [0, 0])


@pytest.mark.parametrize(
    ("country", "tax", "tax_included", "total"),
    [
        ("GB", 0, 1750, 10500),  # 105.00 hold 20 %
        ("DE", 0, 1676, 10500),  # 105.00 hold 19 %: 16.7647
        ("CN", 0, 1208, 10500),  # 105.00 hold 13 %: 12.0796
        ("US", 700, 0, 11200),  # 7 % of 100.00, shipping is not taxed
        ("FR", 0, 0, 10500),
    ],
)
def test_tax_by_country(country: str, tax: int, tax_included: int, total: int):
    totals = compute_totals(_usd(4000, 6000), shipping=Money(500, "USD"), country=country)

    assert (totals.tax, totals.tax_included, totals.total) == (tax, tax_included, total)


def test_two_currencies_are_never_added():
    with pytest.raises(CurrencyMismatch):
        compute_totals([Money(1, "EUR")], shipping=Money(1, "USD"), country="GB")
