from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol
from uuid import UUID


class Line(Protocol):
    @property
    def variant_id(self) -> UUID: ...
    @property
    def quantity(self) -> int: ...


def summed(lines: Iterable[Line]) -> dict[UUID, int]:
    """Quantities by variant: lines of one variant add up."""
    quantities: dict[UUID, int] = {}
    for line in lines:
        quantities[line.variant_id] = quantities.get(line.variant_id, 0) + line.quantity
    return quantities
