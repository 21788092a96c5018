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

DEFAULT_PAGE_SIZE = 20
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
    reader = _Reader(query)
    q = reader.read("q", _text, "")
    sort_name = reader.read("sort", _sort, "relevance" if q else "newest")
    sort = SORTS["newest" if sort_name == "relevance" and not q else sort_name]
    wanted = ProductFilter(
        sort=sort,
        page_size=reader.read("page_size", _page_size, DEFAULT_PAGE_SIZE),
        position=reader.read("cursor", lambda value: keyset.decode(sort, value, MODES), None),
        q=q,
        category=reader.read("category", _id_or_slug, None),
        min_price=reader.read("min_price", _amount, None),
        max_price=reader.read("max_price", _amount, None),
        in_stock=reader.read("in_stock", _boolean, None),
        seller=reader.read("seller", _uuid, None),
        rating_min=reader.read("rating_min", _rating, None),
        attributes=reader.attributes(),
    )
    if wanted.min_price is not None and wanted.max_price is not None and wanted.min_price > wanted.max_price:
        reader.refuse("min_price", "min_price is greater than max_price.")
    reader.finish()
    return wanted


class _Reader:
    def __init__(self, query: QueryDict) -> None:
        self._query = query
        self._errors: list[dict[str, str]] = []

    def read(self, name: str, parse: Callable[[str], Any], default: Any) -> Any:
        if name not in self._query:
            return default
        values = self._query.getlist(name)
        try:
            if len(values) > 1:
                raise ValueError("This parameter may be given once.")
            return parse(values[0])
        except ValueError as error:
            self.refuse(name, str(error))
            return default

    def attributes(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key in self._query:
            if not key.startswith("attr."):
                continue
            values = self._query.getlist(key)
            name = key.removeprefix("attr.")
            if (
                not 1 <= len(name) <= 50
                or any(not 1 <= len(value) <= 100 for value in values)
                or "\0" in key + "".join(values)
            ):
                self.refuse(
                    key[:60].replace("\0", ""),
                    "An attribute has a name of 1 to 50 and a value of 1 to 100 characters.",
                )
                continue
            found.setdefault(name.casefold(), []).extend(values)
        if sum(map(len, found.values())) > MAX_ATTRIBUTES:
            self.refuse("attr", f"At most {MAX_ATTRIBUTES} attributes.")
        return found

    def refuse(self, name: str, detail: str) -> None:
        self._errors.append({"field": name, "code": "invalid", "detail": detail})

    def finish(self) -> None:
        if self._errors:
            raise InvalidParameters("Some parameters are not valid.", errors=self._errors)


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
