from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.api.card_numbers import refuse_card_numbers, without_card_numbers
from payments.exceptions import CardNumberRefused


def refused(body: Any) -> bool:
    try:
        refuse_card_numbers(body)
    except CardNumberRefused:
        return True
    return False


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424242",
        "4242 4242 4242 4242",
        "4242-4242-4242-4242",
        "378282246310005",
        "3782 822463 10005",
        "30569309025904",
        "4222222222222",
        "6011111111111117",
        "5555555555554444",
        "6304000000000000000",
        "my card is 4242424242424242, thanks",
        "pm4242424242424242x",
        "https://storefront.test/?card=4242424242424242",
        "\n4242424242424242\t",
    ],
)
def test_a_card_number_is_found_in_any_string(text: str) -> None:
    assert refused(text)
    assert refused({"a": [{"b": ("x", text)[1]}]})
    assert refused({text: 1})


@pytest.mark.parametrize(
    "body",
    [
        "pm_card_visa",
        "4242424242424243",
        "424242424242",
        "42424242424242424242424242",
        "4242  4242  4242  4242",
        "01234567-8901-7234-8567-890123456789",
        "https://storefront.test/orders/00000000-0000-7000-8000-000000000000",
        "",
        {},
        [],
        None,
        True,
        {"amount": 1999, "ratio": 0.5},
    ],
)
def test_what_is_no_card_number_passes(body: Any) -> None:
    assert not refused(body)


def test_a_number_instead_of_a_string_is_a_card_number_too() -> None:
    assert refused({"number": 4242424242424242})
    assert refused([4242424242424242.0])
    assert not refused({"number": 4242424242424243})


@given(st.text(alphabet="0123456789", min_size=12, max_size=18), st.sampled_from(["", " ", "-"]))
def test_every_number_with_a_right_check_digit_is_found(stem: str, parting: str) -> None:
    digits = next(f"{stem}{check}" for check in range(10) if luhn(f"{stem}{check}"))
    assert refused(f"x {parting.join(digits)} y")
    wrong = f"{stem}{(int(digits[-1]) + 1) % 10}"
    assert not refused(f"x {parting.join(wrong)} y")


def luhn(digits: str) -> bool:
    doubled = [int(d) for d in digits[-2::-2]]
    return (sum(int(d) for d in digits[-1::-2]) + sum(sum(divmod(2 * d, 10)) for d in doubled)) % 10 == 0


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("too small", "too small"),
        ("charged to 4242 4242 4242 4242 by mistake", "charged to [card number] by mistake"),
        ("4242-4242-4242-4242, 378282246310005", "[card number], [card number]"),
        ("order 01234567-8901-7234-8567-890123456789 ok", "order 01234567-8901-7234-8567-890123456789 ok"),
        ("tracking 4242424242424243", "tracking 4242424242424243"),
        ("", ""),
    ],
)
def test_free_text_is_kept_without_card_numbers(text: str, kept: str) -> None:
    assert without_card_numbers(text) == kept
    assert not refused(kept)
