"""Public reads of products. The JSON is built by PostgreSQL; Python only puts the pieces together."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection

from catalog.exceptions import ProductNotFound
from catalog.models import SEARCH_CONFIG
from catalog.selectors import keyset
from catalog.selectors.keyset import Position, Sort

SORTS = {
    sort.name: sort
    for sort in (
        Sort("newest", (keyset.PUBLISHED_AT, keyset.ID), descending=True),
        Sort("price", (keyset.PRICE, keyset.ID), descending=False),
        Sort("-price", (keyset.PRICE, keyset.ID), descending=True),
        Sort("rating", (keyset.RATING, keyset.REVIEW_COUNT, keyset.ID), descending=True),
        Sort("popular", (keyset.POPULARITY, keyset.ID), descending=True),
        Sort("relevance", (keyset.RANK, keyset.ID), descending=True),
    )
}

# How `q` is looked for: whole words first; where no product has them, names that look like it.
WORDS, SIMILAR = "w", "s"
MODES = (WORDS, SIMILAR)

_CARD = """
    p.id, p.slug, p.name,
    json_build_object('amount', p.min_price_amount, 'currency', p.currency) AS price,
    CASE WHEN p.compare_at_amount IS NOT NULL
        THEN json_build_object('amount', p.compare_at_amount, 'currency', p.currency) END AS compare_at_price,
    CASE WHEN p.thumbnail <> '' THEN %(media)s || p.thumbnail END AS thumbnail,
    CASE WHEN p.review_count > 0 THEN p.rating::float8 END AS rating,
    p.review_count, p.variants_in_stock > 0 AS in_stock, p.seller_id AS seller
"""
_CARD_COLUMNS = (
    "p.id, p.slug, p.name, p.min_price_amount, p.currency, p.compare_at_amount, p.thumbnail, p.rating, p.review_count, "
    "p.variants_in_stock, p.seller_id, p.published_at, p.popularity"
)
_RANKS = {
    WORDS: f"(ts_rank(p.search_vector, websearch_to_tsquery('{SEARCH_CONFIG}', %(q)s)) * 1000000)::bigint",
    SIMILAR: "(word_similarity(%(q)s, p.name) * 1000000)::bigint",
}
_MATCHES = {
    WORDS: f"p.search_vector @@ websearch_to_tsquery('{SEARCH_CONFIG}', %(q)s)",
    SIMILAR: "%(q)s::text <%% p.name",
}
_CONDITIONS = {
    "min_price": "p.min_price_amount >= %(min_price)s",
    "max_price": "p.min_price_amount <= %(max_price)s",
    "seller": "p.seller_id = %(seller)s",
    "rating_min": "p.rating >= %(rating_min)s::numeric AND p.review_count > 0",
}
_SUBTREE = """
    WITH RECURSIVE subtree (id) AS (
        SELECT id FROM catalog_category WHERE {column} = %(category)s
        UNION ALL
        SELECT c.id FROM catalog_category c JOIN subtree s ON c.parent_id = s.id
    )
"""


@dataclass(frozen=True, slots=True)
class ProductFilter:
    """What a list is asked for, validated. `attributes` maps a folded name to its folded values, of which any one fits."""

    sort: Sort = SORTS["newest"]
    page_size: int = 20
    position: Position | None = None
    q: str = ""
    category: str | UUID | None = None
    min_price: int | None = None
    max_price: int | None = None
    in_stock: bool | None = None
    seller: UUID | None = None
    rating_min: str | None = None
    attributes: Mapping[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """JSON objects of products, and the cursors of the neighbouring pages."""

    items: list[str]
    next: str | None
    previous: str | None


def attribute_token(name: str, value: str) -> str:
    """How an attribute stands in `Product.attribute_tokens`; case does not count."""
    return f"{name.casefold()}={value.casefold()}"


def list_products(wanted: ProductFilter) -> Page:
    """One page of published products."""
    if not wanted.q:
        return _page(wanted, WORDS)
    if wanted.position:
        return _page(wanted, wanted.position.mode)
    page = _page(wanted, WORDS)
    return page if page.items else _page(wanted, SIMILAR)


def _page(wanted: ProductFilter, mode: str) -> Page:
    sort, position = wanted.sort, wanted.position
    backward = position is not None and position.backward
    with connection.cursor() as cursor:
        cursor.execute(_statement(_shape_of(wanted, mode)), _parameters(wanted))
        rows = cursor.fetchall()
    more = len(rows) > wanted.page_size
    rows = rows[: wanted.page_size]
    if backward:
        rows.reverse()
    if not rows:
        return Page([], None, None)
    following = more if not backward else True
    preceding = more if backward else position is not None
    return Page(
        [row[0] for row in rows],
        keyset.encode(sort, mode, rows[-1][1:], backward=False) if following else None,
        keyset.encode(sort, mode, rows[0][1:], backward=True) if preceding else None,
    )


class _Shape(NamedTuple):
    """All that the text of a list's statement depends on. Values are parameters, never text."""

    sort: str
    mode: str
    beyond: bool
    backward: bool
    category: str  # the column that names it, or nothing
    search: bool
    filters: tuple[str, ...]
    in_stock: bool | None
    attributes: int


def _shape_of(wanted: ProductFilter, mode: str) -> _Shape:
    return _Shape(
        sort=wanted.sort.name,
        mode=mode,
        beyond=wanted.position is not None,
        backward=wanted.position is not None and wanted.position.backward,
        category="" if wanted.category is None else "id" if isinstance(wanted.category, UUID) else "slug",
        search=bool(wanted.q),
        filters=tuple(name for name in _CONDITIONS if getattr(wanted, name) is not None),
        in_stock=wanted.in_stock,
        attributes=len(wanted.attributes),
    )


def _parameters(wanted: ProductFilter) -> dict[str, Any]:
    parameters: dict[str, Any] = {"media": settings.MEDIA_URL, "limit": wanted.page_size + 1}
    for name in ("category", *_CONDITIONS):
        if (value := getattr(wanted, name)) is not None:
            parameters[name] = value
    if wanted.q:
        parameters["q"] = wanted.q
    for index, (name, values) in enumerate(wanted.attributes.items()):
        parameters[f"attribute{index}"] = [attribute_token(name, value) for value in values]
    if wanted.position is not None:
        parameters |= {f"key{index}": value for index, value in enumerate(wanted.position.values)}
    return parameters


@lru_cache(maxsize=1024)
def _statement(shape: _Shape) -> str:
    """Filters, order and limit in a subquery that reads narrow rows; the JSON is made of its few rows only.

    A category's subtree without `q` is read category by category, each in the order of its own index, and merged: a page
    costs one short index scan a category, wherever it lies and however many products there are.
    """
    sort = SORTS[shape.sort]
    conditions = _conditions(shape)
    beyond = sort.after(backward=shape.backward) if shape.beyond else "true"
    order = f"ORDER BY {sort.order_by(backward=shape.backward)} LIMIT %(limit)s"
    source, columns = "catalog_product p", _CARD_COLUMNS
    if sort.keys[0] is keyset.RANK:
        ranks = _RANKS[shape.mode]
        source = f"(SELECT {columns}, {ranks} AS rank FROM catalog_product p WHERE {conditions} OFFSET 0) p"  # noqa: S608 - made of constants
        columns, conditions = "p.*", beyond
    else:
        conditions = f"{conditions} AND {beyond}"
        if shape.category and not shape.search:
            one = f"SELECT {columns} FROM catalog_product p WHERE p.category_id = subtree.id AND {conditions} {order}"  # noqa: S608 - made of constants
            source, conditions = f"subtree CROSS JOIN LATERAL ({one}) p", "true"
    return f"""
        {_SUBTREE.format(column=shape.category) if shape.category else ""}
        SELECT (SELECT row_to_json(card)::text FROM (SELECT {_CARD}) card), {sort.texts}
        FROM (SELECT {columns} FROM {source} WHERE {conditions} {order}) p
        ORDER BY {sort.order_by(backward=shape.backward)}
    """  # noqa: S608 - made of constants


def _conditions(shape: _Shape) -> str:
    """What a product `p` must fulfil, wherever the page lies."""
    conditions = ["p.status = 'published'", *(_CONDITIONS[name] for name in shape.filters)]
    if shape.search:
        conditions.append(_MATCHES[shape.mode])
        if shape.category:
            conditions.append("p.category_id IN (SELECT id FROM subtree)")
    if shape.in_stock is not None:
        conditions.append("p.variants_in_stock > 0" if shape.in_stock else "p.variants_in_stock = 0")
    conditions += [f"p.attribute_tokens && %(attribute{index})s::text[]" for index in range(shape.attributes)]
    return " AND ".join(conditions)


_DETAIL = f"""
    SELECT p.version, (SELECT row_to_json(detail)::text FROM (
        SELECT {_CARD}, p.description,
            (SELECT json_build_object('id', c.id, 'slug', c.slug, 'name', c.name)
             FROM catalog_category c WHERE c.id = p.category_id) AS category,
            p.attributes,
            COALESCE((
                SELECT json_agg(json_build_object(
                    'url', %(media)s || i.file, 'thumbnail', %(media)s || i.thumbnail, 'alt', i.alt) ORDER BY i.position)
                FROM catalog_productimage i WHERE i.product_id = p.id
            ), '[]') AS images,
            COALESCE((
                SELECT json_agg(json_build_object(
                    'id', v.id, 'sku', v.sku,
                    'price', json_build_object('amount', v.price_amount, 'currency', p.currency),
                    'attributes', v.attributes, 'available', s.on_hand - s.reserved) ORDER BY v.position, v.id)
                FROM catalog_variant v JOIN catalog_stock s ON s.variant_id = v.id
                WHERE v.product_id = p.id AND v.deleted_at IS NULL
            ), '[]') AS variants
    ) detail)
    FROM catalog_product p
    WHERE p.status = 'published' AND p."""  # noqa: S608 - made of constants


def product_detail(key: str) -> tuple[int, str]:
    """Version and JSON of the published product with this id or slug. Raises `ProductNotFound`."""
    with connection.cursor() as cursor:
        for column, value in _identities(key):
            cursor.execute(f"{_DETAIL}{column} = %(key)s", {"media": settings.MEDIA_URL, "key": value})
            row = cursor.fetchone()
            if row is not None:
                return row
    raise ProductNotFound


def _identities(key: str) -> list[tuple[str, str | UUID]]:
    identities: list[tuple[str, str | UUID]] = []
    if len(key) == 36:
        with suppress(ValueError):
            identities.append(("id", UUID(key)))
    if len(key) <= 160 and "\0" not in key:
        identities.append(("slug", key))
    return identities
