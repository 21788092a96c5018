"""Public reads of products. The JSON is built by PostgreSQL; Python only puts the pieces together."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
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
    rating_min: float | None = None
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
        return _page(wanted, "")
    if wanted.position:
        return _page(wanted, wanted.position.mode)
    page = _page(wanted, WORDS)
    return page if page.items else _page(wanted, SIMILAR)


def _page(wanted: ProductFilter, mode: str) -> Page:
    sort, position = wanted.sort, wanted.position
    backward = position is not None and position.backward
    with connection.cursor() as cursor:
        cursor.execute(*_list_query(wanted, mode, backward=backward))
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
        keyset.encode(sort, Position(tuple(rows[-1][1:]), False, mode or WORDS)) if following else None,
        keyset.encode(sort, Position(tuple(rows[0][1:]), True, mode or WORDS)) if preceding else None,
    )


def _list_query(wanted: ProductFilter, mode: str, *, backward: bool) -> tuple[str, dict[str, Any]]:
    """Filters, order and limit in a subquery that reads narrow rows; the JSON is made of its few rows only.

    A category's subtree without `q` is read category by category, each in the order of its own index, and merged: a page
    costs one short index scan a category, wherever it lies and however many products there are.
    """
    sort = wanted.sort
    conditions, parameters = _filters(wanted, mode)
    parameters |= {"media": settings.MEDIA_URL, "limit": wanted.page_size + 1}
    beyond = "true"
    if wanted.position is not None:
        beyond = sort.after(backward=backward)
        parameters |= {f"key{index}": value for index, value in enumerate(wanted.position.values)}
    order = f"ORDER BY {sort.order_by(backward=backward)} LIMIT %(limit)s"

    subtree, source, columns = "", "catalog_product p", _CARD_COLUMNS
    if wanted.category is not None:
        subtree = _SUBTREE.format(column="id" if isinstance(wanted.category, UUID) else "slug")
    if sort.keys[0] is keyset.RANK:
        source = (
            f"(SELECT {columns}, {_RANKS[mode]} AS rank FROM catalog_product p WHERE {conditions} OFFSET 0) p"  # noqa: S608 - made of constants
        )
        columns, conditions = "p.*", beyond
    else:
        conditions = f"{conditions} AND {beyond}"
        if wanted.category is not None and not wanted.q:
            one = f"SELECT {columns} FROM catalog_product p WHERE p.category_id = subtree.id AND {conditions} {order}"  # noqa: S608 - made of constants
            source, conditions = f"subtree CROSS JOIN LATERAL ({one}) p", "true"
    keys = ", ".join(key.expression for key in sort.keys)
    return (
        f"""
        {subtree}
        SELECT (SELECT row_to_json(card)::text FROM (SELECT {_CARD}) card), {keys}
        FROM (SELECT {columns} FROM {source} WHERE {conditions} {order}) p
        ORDER BY {sort.order_by(backward=backward)}
        """,  # noqa: S608 - made of constants
        parameters,
    )


def _filters(wanted: ProductFilter, mode: str) -> tuple[str, dict[str, Any]]:
    """The conditions on a product `p` that do not depend on the page, and their parameters."""
    parameters: dict[str, Any] = {
        name: value
        for name in ("q", "category", "min_price", "max_price", "seller", "rating_min")
        if (value := getattr(wanted, name)) not in (None, "")
    }
    conditions = [
        "p.status = 'published'",
        *(_CONDITIONS[name] for name in parameters if name in _CONDITIONS),
    ]
    if wanted.q:
        conditions.append(_MATCHES[mode])
        if wanted.category is not None:
            conditions.append("p.category_id IN (SELECT id FROM subtree)")
    if wanted.in_stock is not None:
        conditions.append("p.variants_in_stock > 0" if wanted.in_stock else "p.variants_in_stock = 0")
    for index, (name, values) in enumerate(wanted.attributes.items()):
        conditions.append(f"p.attribute_tokens && %(attribute{index})s::text[]")
        parameters[f"attribute{index}"] = [attribute_token(name, value) for value in values]
    return " AND ".join(conditions), parameters


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
