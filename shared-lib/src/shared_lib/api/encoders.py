"""One way of writing JSON: UUIDs as strings, times as RFC 3339 in UTC with `Z`, contracts as their fields."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import orjson
from django.utils.functional import Promise

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


def dumps(value: Any) -> bytes:
    """UTF-8 JSON. Raises `TypeError` for what has no JSON form (a float is no money: `Decimal` becomes a string)."""
    return orjson.dumps(value, default=_default, option=_OPTIONS)


def _default(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    if isinstance(value, Promise | Decimal):
        return str(value)
    if isinstance(value, dict):
        return dict(value)
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
