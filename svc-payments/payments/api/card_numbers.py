"""Card numbers never reach us: a body that holds one is refused before anything else looks at it.

What counts is 13 to 19 digits in one string (a value or a name, however deep) that pass the Luhn check, together or
parted by single spaces or hyphens; and a whole number of that length. A UUID is none, whatever its digits are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from payments.exceptions import CardNumberRefused

_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE)
_CANDIDATE = re.compile(r"(?<![0-9])[0-9](?:[ -]?[0-9]){12,18}(?![0-9])")
_PARTING = str.maketrans("", "", " -")


def refuse_card_numbers(body: Any) -> None:
    """Raises `CardNumberRefused`, which repeats nothing of the body."""
    if any(_holds_card_number(text) for text in _texts(body)):
        raise CardNumberRefused


def without_card_numbers(text: str) -> str:
    """Free text that somebody typed, fit to be stored and passed on."""
    kept = _UUID.findall(text)
    parts = [_CANDIDATE.sub(_hidden, part) for part in _UUID.split(text)]
    return "".join(part + identifier for part, identifier in zip(parts, [*kept, ""], strict=True))


def _hidden(found: re.Match[str]) -> str:
    return "[card number]" if _passes_luhn(found.group().translate(_PARTING)) else found.group()


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case bool():
            pass
        case int() | float():
            yield f"{value:.0f}"
        case dict():
            for name, member in value.items():
                yield str(name)
                yield from _texts(member)
        case list():
            for member in value:
                yield from _texts(member)


def _holds_card_number(text: str) -> bool:
    text = _UUID.sub("", text)
    return any(_passes_luhn(match.group().translate(_PARTING)) for match in _CANDIDATE.finditer(text))


def _passes_luhn(digits: str) -> bool:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit)
        if position % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0
