"""What other services read: JSON in the form of `shared_lib.contracts.internal.catalog`, built by PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

SNAPSHOT_PAGE_SIZE = 500

_THUMBNAIL = "CASE WHEN p.thumbnail <> '' THEN %(media)s || p.thumbnail END"

_VARIANTS = f"""
    SELECT COALESCE(json_agg(json_build_object(
        'variant_id', v.id, 'product_id', p.id, 'seller_id', p.seller_id, 'sku', v.sku,
        'name', p.name || CASE WHEN v.name = '' THEN '' ELSE ' (' || v.name || ')' END,
        'product_slug', p.slug, 'category', c.slug,
        'unit_price', json_build_object('amount', v.price_amount, 'currency', p.currency),
        'weight_grams', v.weight_grams, 'available', s.on_hand - s.reserved,
        'product_version', p.version, 'stock_version', s.version, 'thumbnail', {_THUMBNAIL}
    ) ORDER BY v.id), '[]')::text
    FROM catalog_variant v
    JOIN catalog_product p ON p.id = v.product_id AND p.status = 'published'
    JOIN catalog_category c ON c.id = p.category_id
    JOIN catalog_stock s ON s.variant_id = v.id
    WHERE v.id = ANY(%(ids)s::uuid[]) AND v.deleted_at IS NULL
"""  # noqa: S608 - made of constants

_SNAPSHOT = f"""
    SELECT p.id, (SELECT row_to_json(snapshot)::text FROM (
        SELECT p.id AS product_id, p.version, p.seller_id, p.slug, p.name, c.slug AS category, {_THUMBNAIL} AS thumbnail,
            COALESCE((
                SELECT json_agg(json_build_object(
                    'variant_id', v.id, 'sku', v.sku,
                    'price', json_build_object('amount', v.price_amount, 'currency', p.currency),
                    'available', s.on_hand - s.reserved, 'stock_version', s.version, 'attributes', v.attributes
                ) ORDER BY v.position, v.id)
                FROM catalog_variant v JOIN catalog_stock s ON s.variant_id = v.id
                WHERE v.product_id = p.id AND v.deleted_at IS NULL
            ), '[]') AS variants
    ) snapshot)
    FROM catalog_product p JOIN catalog_category c ON c.id = p.category_id
    WHERE p.status = 'published' AND p.id > %(after)s::uuid
    ORDER BY p.id
    LIMIT %(limit)s
"""  # noqa: S608 - made of constants

_FIRST = UUID(int=0)


def variants_json(ids: Sequence[UUID]) -> str:
    """A `VariantList` of those of `ids` that are for sale."""
    with connection.cursor() as cursor:
        cursor.execute(_VARIANTS, {"ids": list(ids), "media": settings.MEDIA_URL})
        return f'{{"results":{cursor.fetchone()[0]}}}'


def snapshot_json(after: UUID | None) -> str:
    """A `ProductPage` of the published products that follow the one with the id `after`."""
    parameters: dict[str, Any] = {
        "after": after or _FIRST,
        "limit": SNAPSHOT_PAGE_SIZE + 1,
        "media": settings.MEDIA_URL,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SNAPSHOT, parameters)
        rows = cursor.fetchall()
    more = len(rows) > SNAPSHOT_PAGE_SIZE
    rows = rows[:SNAPSHOT_PAGE_SIZE]
    cursor_json = f'"{rows[-1][0]}"' if more else "null"
    return f'{{"results":[{",".join(row[1] for row in rows)}],"next":{cursor_json}}}'
