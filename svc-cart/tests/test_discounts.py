"""What coupons take of lines: arithmetic only."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cart.discounts import Effect, Part, Reason, Rule, apply, usable

LAMPS, SOFAS = "lamps", "sofas"


def rule(code: str = "A", kind: str = "percent", **values: Any) -> Rule:
    return Rule(code=code, kind=kind, **values)


def taken(rules: list[Rule], *parts: Part) -> list[int | str]:
    """The discount of each coupon, or the word that says why there is none."""
    return [
        effect.discount if effect.reason is None else effect.reason.value for effect in apply(rules, parts)
    ]


@pytest.mark.parametrize(
    ("points", "total", "discount"),
    [
        (1000, 1999, 200),
        (1000, 5, 1),
        (1000, 4, 0),
        (10_000, 1999, 1999),
        (1, 4999, 0),
        (1, 5000, 1),
        (3333, 3, 1),
    ],
)
def test_a_percentage_is_rounded_half_up(points: int, total: int, discount: int) -> None:
    assert taken([rule(basis_points=points)], Part(LAMPS, total)) == [discount]


def test_an_amount_never_takes_more_than_the_lines_cost() -> None:
    assert taken([rule(kind="fixed", fixed=500)], Part(LAMPS, 300), Part(SOFAS, 100)) == [400]


def test_free_shipping_takes_nothing_of_the_lines() -> None:
    assert taken([rule(kind="free_shipping")], Part(LAMPS, 300)) == [0]


def test_only_lines_of_the_categories_count() -> None:
    only_lamps = rule(basis_points=5000, minimum=1000, categories=frozenset({LAMPS}))
    assert taken([only_lamps], Part(LAMPS, 1000), Part(SOFAS, 9000)) == [500]
    assert taken([only_lamps], Part(LAMPS, 999), Part(SOFAS, 9000)) == ["minimum_not_met"]
    assert taken([only_lamps], Part(SOFAS, 9000)) == ["no_matching_lines"]
    assert taken([rule(basis_points=1)]) == ["no_matching_lines"]


def test_each_takes_of_what_the_ones_before_have_left() -> None:
    half, five = rule("HALF", basis_points=5000), rule("FIVE", "fixed", fixed=500)
    assert taken([half, five], Part(LAMPS, 2000)) == [1000, 500]
    assert taken([five, half], Part(LAMPS, 2000)) == [500, 750]
    assert taken([half, half, half], Part(LAMPS, 1)) == [1, 0, 0]


def test_what_one_took_of_all_lines_is_missing_in_proportion_where_the_next_takes_of_some() -> None:
    all_of_it = rule("ALL", "fixed", fixed=300)
    lamps = rule("LAMPS", "fixed", fixed=10_000, categories=frozenset({LAMPS}))
    assert taken([all_of_it, lamps], Part(LAMPS, 1000), Part(SOFAS, 2000)) == [300, 900]


def test_a_minimum_is_what_the_lines_cost_before_any_discount() -> None:
    half, from_2000 = rule("HALF", basis_points=5000), rule("MIN", "fixed", fixed=100, minimum=2000)
    assert taken([half, from_2000], Part(LAMPS, 2000)) == [1000, 100]


def test_an_exclusive_coupon_goes_with_no_other() -> None:
    alone, other = rule("ALONE", basis_points=1000, exclusive=True), rule("OTHER", basis_points=1000)
    assert taken([alone, other], Part(LAMPS, 100)) == [10, "not_combinable"]
    assert taken([other, alone], Part(LAMPS, 100)) == [10, "not_combinable"]


def test_a_coupon_that_names_its_friends_goes_with_these_only() -> None:
    picky = rule("PICKY", basis_points=1000, stackable_with=frozenset({"FRIEND"}))
    friend, stranger = rule("FRIEND", basis_points=1000), rule("STRANGER", basis_points=1000)
    assert taken([picky, friend, stranger], Part(LAMPS, 1000)) == [100, 90, "not_combinable"]


def test_what_is_barred_stands_in_nobodys_way() -> None:
    over = rule("OVER", basis_points=1000, exclusive=True, barred=Reason.EXPIRED)
    assert taken([over, rule("B", basis_points=1000)], Part(LAMPS, 100)) == ["expired", 10]


def test_whether_coupons_go_together_does_not_depend_on_the_lines() -> None:
    dear = rule("DEAR", basis_points=1000, exclusive=True, minimum=10_000)
    assert taken([dear, rule("B", basis_points=1000)], Part(LAMPS, 100)) == [
        "minimum_not_met",
        "not_combinable",
    ]


codes = st.sampled_from("ABCDE")
rules = st.builds(
    Rule,
    code=codes,
    kind=st.sampled_from(["percent", "fixed", "free_shipping"]),
    basis_points=st.integers(1, 10_000),
    fixed=st.integers(1, 10**7),
    minimum=st.integers(0, 10**5),
    categories=st.none() | st.frozensets(st.sampled_from([LAMPS, SOFAS]), min_size=1),
    exclusive=st.booleans(),
    stackable_with=st.frozensets(codes, max_size=2),
    barred=st.none() | st.sampled_from([Reason.EXPIRED, Reason.STOPPED]),
)
parts = st.lists(st.builds(Part, st.sampled_from([LAMPS, SOFAS]), st.integers(0, 10**7)), max_size=8)


@given(st.lists(rules, max_size=6), parts)
def test_coupons_never_take_more_than_there_is(several: list[Rule], lines: list[Part]) -> None:
    effects = apply(several, lines)
    assert [effect.rule for effect in effects] == several
    assert all(effect.discount >= 0 for effect in effects)
    assert sum(effect.discount for effect in effects) <= sum(line.total for line in lines)
    for effect in effects:
        matching = sum(line.total for line in lines if effect.rule.takes_from(line.category))
        assert effect.discount <= matching
        assert effect == Effect(effect.rule, 0, effect.reason) or effect.reason is None


@given(st.lists(rules, max_size=6), parts)
def test_every_two_that_are_usable_go_together(several: list[Rule], lines: list[Part]) -> None:
    used = [each for each, reason in usable(several) if reason is None]
    for index, one in enumerate(used):
        assert all(one.goes_with(other) and other.goes_with(one) for other in used[index + 1 :])
    applied = {id(effect.rule) for effect in apply(several, lines) if effect.reason is None}
    assert applied <= {id(each) for each in used}
