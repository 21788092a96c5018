"""Quantities of lines, as somebody asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol
from uuid import UUID

from orders.models import OrderLine
from shared_lib.exceptions import DomainError


class _Refusal(Protocol):
    def __call__(self, lines: list[dict[str, Any]]) -> DomainError: ...


def pick(
    lines: Iterable[OrderLine], wanted: Mapping[UUID, int] | None, left: Mapping[UUID, int], refusal: _Refusal
) -> dict[OrderLine, int]:
    """How much of which line: `wanted` by variant, by default all that is `left` (by line id) of each.

    Raises `refusal` when more is wanted than is left. A variant that is not in `lines` has nothing left.
    """
    known = {line.variant_id: line for line in lines}
    if wanted is None:
        return {line: left[line.id] for line in known.values() if left[line.id] > 0}
    remaining = {variant: left[known[variant].id] if variant in known else 0 for variant in wanted}
    short = [
        {"variant_id": str(variant), "requested": quantity, "left": remaining[variant]}
        for variant, quantity in wanted.items()
        if quantity > remaining[variant]
    ]
    if short:
        raise refusal(short)
    return {known[variant]: quantity for variant, quantity in wanted.items()}
