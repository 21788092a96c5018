from __future__ import annotations

from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.totals import TAX_RULES, Cost, Totals, compute_totals
from shared_lib.contracts.internal.cart import CartCoupon
from shared_lib.money import CurrencyMismatch, Money

AMOUNTS = st.integers(min_value=0, max_value=10**9)
COUNTRIES = st.sampled_from([*TAX_RULES, "FR"])
VARIANTS = [uuid5(UUID(int=0), str(number)) for number in range(100)]


def _usd(amount: int) -> Money:
    return Money(amount, "USD")


def _costs(*amounts: int) -> list[Cost]:
    return [Cost(variant, _usd(amount)) for variant, amount in zip(VARIANTS, amounts, strict=False)]


def _of(
    *amounts: int, shipping: int = 0, country: str = "FR", coupons: list[CartCoupon] | None = None
) -> Totals:
    return compute_totals(_costs(*amounts), shipping=_usd(shipping), country=country, coupons=coupons or [])


COUPONS = st.builds(
    CartCoupon,
    code=st.text("ABC", min_size=1, max_size=5),
    kind=st.sampled_from(["percent", "fixed", "free_shipping"]),
    basis_points=st.integers(min_value=0, max_value=10_000),
    amount=st.builds(_usd, AMOUNTS),
    minimum=st.none() | st.builds(_usd, st.integers(min_value=0, max_value=10**6)),
    variant_ids=st.none() | st.lists(st.sampled_from(VARIANTS[:6])),
)


@given(
    lines=st.lists(AMOUNTS, min_size=1, max_size=100),
    shipping=AMOUNTS,
    country=COUNTRIES,
    coupons=st.lists(COUPONS, max_size=4),
)
def test_totals_add_up_to_the_cent(lines: list[int], shipping: int, country: str, coupons: list[CartCoupon]):
    totals = _of(*lines, shipping=shipping, country=country, coupons=coupons)

    assert totals.total == totals.subtotal - totals.discount + totals.shipping + totals.tax
    assert totals.subtotal == sum(lines)
    assert totals.discount == sum(totals.line_discounts)
    assert sum(totals.line_taxes) + totals.shipping_tax == totals.tax + totals.tax_included
    assert 0 in (totals.tax, totals.tax_included)
    assert totals.shipping in (0, shipping)
    assert len(totals.line_taxes) == len(totals.line_discounts) == len(lines)
    assert min(totals.discount, totals.tax, totals.tax_included, totals.shipping_tax, *totals.line_taxes) >= 0
    assert all(0 <= taken <= line for taken, line in zip(totals.line_discounts, lines, strict=True))


@given(
    lines=st.lists(AMOUNTS, min_size=1, max_size=20),
    shipping=AMOUNTS,
    country=COUNTRIES,
    coupons=st.lists(COUPONS, max_size=4),
)
def test_a_coupon_never_makes_an_order_dearer(
    lines: list[int], shipping: int, country: str, coupons: list[CartCoupon]
):
    without = _of(*lines, shipping=shipping, country=country)
    totals = _of(*lines, shipping=shipping, country=country, coupons=coupons)

    assert totals.total <= without.total
    assert set(totals.coupon_codes) <= {coupon.code for coupon in coupons}
    took_something = totals.discount > 0 or totals.shipping < shipping
    assert bool(totals.coupon_codes) == took_something


@given(
    lines=st.lists(AMOUNTS, min_size=1, max_size=6),
    basis_points=st.integers(min_value=1, max_value=10_000),
    wanted=st.none() | st.lists(st.sampled_from(VARIANTS[:6])),
)
def test_a_percentage_is_rounded_once_and_taken_of_its_own_lines_only(
    lines: list[int], basis_points: int, wanted: list[UUID] | None
):
    coupon = CartCoupon(code="P", kind="percent", basis_points=basis_points, variant_ids=wanted)
    totals = _of(*lines, coupons=[coupon])

    own = [
        line for variant, line in zip(VARIANTS, lines, strict=False) if wanted is None or variant in wanted
    ]
    assert abs(totals.discount * 10_000 - sum(own) * basis_points) <= 5_000
    for variant, taken, line in zip(VARIANTS, totals.line_discounts, lines, strict=False):
        if wanted is not None and variant not in wanted:
            assert taken == 0
        elif sum(own):
            assert abs(taken * sum(own) - totals.discount * line) < sum(own)


@given(lines=st.lists(AMOUNTS, min_size=1, max_size=20), shipping=AMOUNTS)
def test_included_tax_is_less_than_half_a_cent_from_exact(lines: list[int], shipping: int):
    totals = _of(*lines, shipping=shipping, country="GB")

    gross = totals.subtotal + totals.shipping
    assert abs(totals.tax_included * 6 - gross) <= 3  # a sixth of a price that holds 20 %


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
    totals = _of(4000, 6000, shipping=500, country=country)

    assert (totals.tax, totals.tax_included, totals.total) == (tax, tax_included, total)


@pytest.mark.parametrize(
    ("country", "tax", "tax_included", "total"),
    [
        ("GB", 0, 1583, 9500),  # 95.00 hold 20 %: 15.8333
        ("US", 630, 0, 10130),  # 7 % of 90.00
    ],
)
def test_tax_is_on_what_the_coupons_leave(country: str, tax: int, tax_included: int, total: int):
    ten = CartCoupon(code="TEN", kind="percent", basis_points=1000)
    totals = _of(4000, 6000, shipping=500, country=country, coupons=[ten])

    assert (totals.subtotal, totals.discount, totals.shipping) == (10000, 1000, 500)
    assert totals.line_discounts == (400, 600)
    assert (totals.tax, totals.tax_included, totals.total) == (tax, tax_included, total)


def test_coupons_apply_in_order_each_to_what_is_left():
    ten = CartCoupon(code="TEN", kind="percent", basis_points=1000)
    five = CartCoupon(code="FIVE", kind="fixed", amount=_usd(500))

    assert _of(10000, coupons=[ten, five]).discount == 1000 + 500
    assert _of(10000, coupons=[five, ten]).discount == 500 + 950


def test_what_cannot_be_split_evenly_goes_to_the_largest_remainder_first():
    coupon = CartCoupon(code="ONE", kind="fixed", amount=_usd(100))

    assert _of(1000, 1000, 1000, coupons=[coupon]).line_discounts == (34, 33, 33)


def test_a_fixed_amount_takes_no_more_than_its_lines_cost():
    coupon = CartCoupon(code="BIG", kind="fixed", amount=_usd(5000), variant_ids=[VARIANTS[1]])
    totals = _of(10000, 300, shipping=400, coupons=[coupon])

    assert totals.line_discounts == (0, 300)
    assert totals.total == 10400


def test_free_shipping_takes_shipping_and_is_no_discount():
    coupon = CartCoupon(code="SHIP", kind="free_shipping")
    totals = _of(1200, shipping=400, country="GB", coupons=[coupon])

    assert (totals.shipping, totals.discount, totals.total) == (0, 0, 1200)
    assert (totals.tax_included, totals.shipping_tax) == (200, 0)
    assert totals.coupon_codes == ("SHIP",)


@pytest.mark.parametrize(("minimum", "applies"), [(1000, True), (1001, False)])
def test_a_minimum_counts_the_coupons_own_lines_before_any_discount(minimum: int, applies: bool):
    first = CartCoupon(code="FIRST", kind="percent", basis_points=5000)
    second = CartCoupon(
        code="SECOND", kind="fixed", amount=_usd(1), minimum=_usd(minimum), variant_ids=[VARIANTS[0]]
    )
    totals = _of(1000, 9000, coupons=[first, second])

    assert totals.coupon_codes == (("FIRST", "SECOND") if applies else ("FIRST",))


def test_a_coupon_that_takes_nothing_is_not_used():
    coupons = [
        CartCoupon(code="GONE", kind="fixed", amount=_usd(1), variant_ids=[VARIANTS[50]]),
        CartCoupon(code="ALL", kind="percent", basis_points=10_000),
        CartCoupon(code="LATE", kind="percent", basis_points=10_000),
        CartCoupon(code="SHIP", kind="free_shipping"),
    ]

    assert _of(1000, shipping=0, coupons=coupons).coupon_codes == ("ALL",)


def test_two_currencies_are_never_added():
    with pytest.raises(CurrencyMismatch):
        compute_totals([Cost(VARIANTS[0], Money(1, "EUR"))], shipping=_usd(1), country="GB")
    foreign = CartCoupon(code="EURO", kind="fixed", amount=Money(1, "EUR"))
    with pytest.raises(CurrencyMismatch):
        _of(1000, coupons=[foreign])
