"""Calls to other services."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

import msgspec

from shared_lib.contracts.internal.catalog import ProductPage, Variant, VariantList
from shared_lib.http import ServiceClient

_catalog = ServiceClient("svc-catalog")


def get_variants(*, variant_ids: Sequence[UUID]) -> list[Variant]:
    """What the catalog knows of these variants, at most 100; those that it does not know or sell are left out.

    Raises `ServiceUnavailable`.
    """
    ids = ",".join(str(variant_id) for variant_id in variant_ids)
    return _catalog.get("/internal/v1/variants", params={"ids": ids}, type=VariantList).results


def product_pages() -> Iterator[ProductPage]:
    """All products that are sold, page by page. Raises `ServiceUnavailable`."""
    cursor: str | None = ""
    while cursor is not None:
        params = {"cursor": cursor} if cursor else None
        page = _catalog.get("/internal/v1/products", params=params, type=ProductPage)
        yield page
        cursor = page.next


class _Category(msgspec.Struct):
    slug: str
    children: list[_Category]


class _Categories(msgspec.Struct):
    results: list[_Category]


def category_subtrees() -> dict[str, set[str]]:
    """Every category of the catalog by its slug, with the slugs of itself and all below it. Raises `ServiceUnavailable`."""
    subtrees: dict[str, set[str]] = {}

    def walk(category: _Category) -> set[str]:
        subtrees[category.slug] = {category.slug}.union(*map(walk, category.children))
        return subtrees[category.slug]

    for root in _catalog.get("/api/v1/catalog/categories", type=_Categories).results:
        walk(root)
    return subtrees
