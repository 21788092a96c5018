"""Pages that cost the same however deep they are: each starts where the last one ended, by the columns it is sorted by."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import orjson


class InvalidCursor(ValueError):
    """The cursor was not made by this list with this sort."""


def _decimal(value: str) -> Decimal:
    number = Decimal(value)
    if not number.is_finite():
        raise InvalidOperation
    return number


def _bigint(value: str) -> int:
    number = int(value)
    if abs(number) >= 2**63:
        raise ValueError
    return number


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError
    return moment


@dataclass(frozen=True, slots=True)
class Key:
    """One column of a sort: its SQL expression, its SQL type, and how its text in a cursor becomes a value again."""

    expression: str
    sql_type: str
    parse: Callable[[str], Any]


PUBLISHED_AT = Key("p.published_at", "timestamptz", _moment)
PRICE = Key("p.min_price_amount", "bigint", _bigint)
RATING = Key("p.rating", "numeric", _decimal)
REVIEW_COUNT = Key("p.review_count", "bigint", _bigint)
POPULARITY = Key("p.popularity", "bigint", _bigint)
RANK = Key("p.rank", "bigint", _bigint)
ID = Key("p.id", "uuid", UUID)


@dataclass(frozen=True, slots=True)
class Sort:
    """All keys in one direction, the id last, so that one row comparison says what comes after a row."""

    name: str
    keys: tuple[Key, ...]
    descending: bool

    @property
    def texts(self) -> str:
        """The keys as text, as cursors keep them; what no cursor needs is then never parsed."""
        return ", ".join(f"{key.expression}::text" for key in self.keys)

    def order_by(self, *, backward: bool = False) -> str:
        direction = "DESC" if self.descending is not backward else "ASC"
        return ", ".join(f"{key.expression} {direction}" for key in self.keys)

    def after(self, *, backward: bool = False) -> str:
        """The condition for what lies beyond the position given as the parameters `key0`, `key1`, ..."""
        columns = ", ".join(key.expression for key in self.keys)
        values = ", ".join(f"%(key{index})s::{key.sql_type}" for index, key in enumerate(self.keys))
        return f"({columns}) {'<' if self.descending is not backward else '>'} ({values})"


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two rows of a list. `mode` is the way of searching that the list was begun with."""

    values: tuple[Any, ...]
    backward: bool
    mode: str


def encode(sort: Sort, mode: str, texts: Sequence[str], *, backward: bool) -> str:
    """The cursor of what lies before or after the row whose keys are `texts`."""
    body = orjson.dumps([sort.name, mode, int(backward), *texts])
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def decode(sort: Sort, cursor: str, modes: Sequence[str]) -> Position:
    """Raises `InvalidCursor`."""
    try:
        name, mode, backward, *values = orjson.loads(
            base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        )
        if name != sort.name or mode not in modes or backward not in (0, 1) or len(values) != len(sort.keys):
            raise InvalidCursor
        if not all(isinstance(value, str) for value in values):
            raise InvalidCursor
        parsed = tuple(key.parse(value) for key, value in zip(sort.keys, values, strict=True))
        return Position(parsed, bool(backward), mode)
    except (ValueError, TypeError, AttributeError, ArithmeticError, binascii.Error):
        raise InvalidCursor("This cursor does not belong to this list.") from None
