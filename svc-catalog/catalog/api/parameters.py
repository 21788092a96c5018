"""The query string of the product list, checked by hand: it is the hottest door of the shop."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import QueryDict

from catalog.selectors import keyset
from catalog.selectors.products import MODES, SORTS, ProductFilter
from shared_lib.exceptions import DomainError

MAX_PAGE_SIZE = 100
MAX_AMOUNT = 2**53 - 1
MAX_QUERY_LENGTH = 200
MAX_ATTRIBUTES = 20

_INTEGER = re.compile(r"[0-9]{1,16}\Z")
_DECIMAL = re.compile(r"[0-9](\.[0-9]{1,2})?\Z")
_SLUG = re.compile(r"[-a-zA-Z0-9_]{1,80}\Z")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class InvalidParameters(DomainError):
    """Rendered like the 422 of a serializer: `errors` names every parameter that is wrong."""

    status = 422
    code = "validation_failed"
    title = "The request is not valid"


def parse_product_filter(query: QueryDict) -> ProductFilter:
    """What the client asks for. Unknown parameters are left alone; an empty `q` is none.

    Raises `InvalidParameters` with one entry for each parameter that is wrong.
    """
    if not query:
        return ProductFilter()
    errors: list[dict[str, str]] = []
    values: dict[str, Any] = {}
    attributes: dict[str, list[str]] = {}
    cursor = None
    for name, given in query.lists():
        try:
            if name.startswith("attr."):
                _add_attribute(attributes, name.removeprefix("attr."), given)
            elif name == "cursor":
                cursor = _only(given)
            elif name in _PARSERS:
                values[name] = _PARSERS[name](_only(given))
        except ValueError as error:
            errors.append(_error(name[:60].replace("\0", ""), str(error)))

    sort = values.pop("sort", "relevance" if values.get("q") else "newest")
    values["sort"] = SORTS["newest" if sort == "relevance" and not values.get("q") else sort]
    if cursor is not None and not errors:
        try:
            values["position"] = keyset.decode(values["sort"], cursor, MODES)
        except keyset.InvalidCursor as error:
            errors.append(_error("cursor", str(error)))
    if sum(map(len, attributes.values())) > MAX_ATTRIBUTES:
        errors.append(_error("attr", f"At most {MAX_ATTRIBUTES} attributes."))
    if values.get("min_price", 0) > values.get("max_price", MAX_AMOUNT):
        errors.append(_error("min_price", "min_price is greater than max_price."))
    if errors:
        raise InvalidParameters("Some parameters are not valid.", errors=errors)
    return ProductFilter(**values, attributes=attributes)


def _error(field: str, detail: str) -> dict[str, str]:
    return {"field": field, "code": "invalid", "detail": detail}


def _only(values: list[str]) -> str:
    if len(values) > 1:
        raise ValueError("This parameter may be given once.")
    return values[0]


def _add_attribute(found: dict[str, list[str]], name: str, values: list[str]) -> None:
    if (
        not 1 <= len(name) <= 50
        or any(not 1 <= len(value) <= 100 for value in values)
        or "\0" in name + "".join(values)
    ):
        raise ValueError("An attribute has a name of 1 to 50 and a value of 1 to 100 characters.")
    found.setdefault(name.casefold(), []).extend(values)


def _text(value: str) -> str:
    value = value.strip()
    if len(value) > MAX_QUERY_LENGTH or "\0" in value:
        raise ValueError(f"At most {MAX_QUERY_LENGTH} characters, none of them NUL.")
    return value


def _sort(value: str) -> str:
    if value not in SORTS:
        raise ValueError(f"Must be one of {', '.join(SORTS)}.")
    return value


def _page_size(value: str) -> int:
    if not _INTEGER.match(value) or int(value) < 1:
        raise ValueError(f"Must be an integer from 1 to {MAX_PAGE_SIZE}.")
    return min(int(value), MAX_PAGE_SIZE)


def _amount(value: str) -> int:
    if not _INTEGER.match(value) or int(value) > MAX_AMOUNT:
        raise ValueError("Must be an amount in minor units.")
    return int(value)


def _boolean(value: str) -> bool:
    try:
        return _BOOLEANS[value.lower()]
    except KeyError:
        raise ValueError("Must be true or false.") from None


def _uuid(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise ValueError("Must be a UUID.") from None


def _id_or_slug(value: str) -> str | UUID:
    if not _SLUG.match(value):
        raise ValueError("Must be the slug or id of a category.")
    try:
        return UUID(value)
    except ValueError:
        return value


def _rating(value: str) -> str:
    if not _DECIMAL.match(value) or float(value) > 5:
        raise ValueError("Must be a number from 0 to 5.")
    return value


_PARSERS: dict[str, Callable[[str], Any]] = {
    "q": _text,
    "sort": _sort,
    "page_size": _page_size,
    "category": _id_or_slug,
    "min_price": _amount,
    "max_price": _amount,
    "in_stock": _boolean,
    "seller": _uuid,
    "rating_min": _rating,
}
