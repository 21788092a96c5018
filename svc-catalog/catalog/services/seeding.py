"""Writes the demo products, by COPY: a hundred thousand take a minute or two, fifty no time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from random import Random
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from catalog.models import Category, Product
from catalog.seeds.products import SeedProduct, category_slugs, make_product, seeded_id
from catalog.selectors.products import attribute_token
from shared_lib.contracts.events import Event, ProductPublished, ProductVariant, StockChanged
from shared_lib.events import publish_all
from shared_lib.money import Money

CHUNK = 1000
_LOCK = 7_203_114_905_518

_PRODUCT = (
    "id, created_at, updated_at, version, slug, seller_id, category_id, name, brand, description, keywords, attributes, "
    "attribute_tokens, status, published_at, currency, min_price_amount, max_price_amount, compare_at_amount, rating, "
    "review_count, popularity, variants_in_stock, thumbnail"
)
_VARIANT = "id, created_at, updated_at, product_id, sku, name, price_amount, compare_at_amount, weight_grams, attributes, position"
_STOCK = "variant_id, on_hand, reserved, version, updated_at"
_MOVEMENT = "variant_id, stock_version, kind, on_hand_delta, reserved_delta, reason, created_at"


def seed_products(
    count: int, *, events: bool = True, progress: Callable[[int], None] = lambda done: None
) -> int:
    """Sees to it that the first `count` demo products exist, and says how many it made.

    Those that exist, in whatever state, are left alone. Each chunk is one transaction; `progress` is told after each how
    many are done. Without `events` other services must rebuild their read models from the snapshot.
    """
    categories = seed_categories()
    made = 0
    for start in range(0, count, CHUNK):
        chunk = range(start, min(start + CHUNK, count))
        with transaction.atomic():
            made += _seed_chunk([make_product(number) for number in chunk], categories, events=events)
        progress(chunk.stop)
    if made >= CHUNK:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE catalog_product, catalog_variant, catalog_stock")
    return made


@transaction.atomic
def seed_categories() -> dict[str, UUID]:
    """Makes the categories of the demo that are missing; gives the ids of all by slug."""
    moment = datetime.fromisoformat("2025-01-01T00:00:00+00:00")

    def make(slug: str, name: str, position: int, parent: Category | None) -> Category:
        defaults = {
            "id": seeded_id(moment, Random(f"shop category {slug}")),
            "name": name,
            "position": position,
            "parent": parent,
        }
        return Category.objects.get_or_create(slug=slug, defaults=defaults)[0]

    ids = {}
    for position, (slug, name, leaves) in enumerate(category_slugs()):
        root = make(slug, name, position, None)
        for place, (leaf_slug, leaf_name) in enumerate(leaves):
            ids[leaf_slug] = make(leaf_slug, leaf_name, place, root).pk
    return ids


def _seed_chunk(products: Sequence[SeedProduct], categories: dict[str, UUID], *, events: bool) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])  # two seeds at once take turns
    there = set(
        Product.objects.filter(pk__in=[product.id for product in products]).values_list("pk", flat=True)
    )
    missing = [product for product in products if product.id not in there]
    if not missing:
        return 0
    now = timezone.now()
    _copy("catalog_product", _PRODUCT, (_product_row(product, categories, now) for product in missing))
    _copy("catalog_variant", _VARIANT, _variant_rows(missing, now))
    every = [variant for product in missing for variant in product.variants]
    _copy("catalog_stock", _STOCK, ((variant.id, variant.on_hand, 0, 1, now) for variant in every))
    _copy(
        "catalog_stockmovement",
        _MOVEMENT,
        ((variant.id, 1, "received", variant.on_hand, 0, "opening stock", now) for variant in every),
    )
    _count(missing, categories)
    if events:
        publish_all(_events(missing))
    return len(missing)


def _copy(table: str, columns: str, rows: Iterator[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _product_row(product: SeedProduct, categories: dict[str, UUID], now: datetime) -> tuple[Any, ...]:
    cheapest = min(product.variants, key=lambda variant: variant.price_amount)
    described = [product.attributes, *(variant.attributes for variant in product.variants)]
    tokens = {attribute_token(name, value) for attributes in described for name, value in attributes.items()}
    return (
        product.id,
        product.published_at,
        now,
        1,
        product.slug,
        product.seller_id,
        categories[product.category],
        product.name,
        product.brand,
        product.description,
        product.keywords,
        _json(product.attributes),
        sorted(tokens),
        Product.Status.PUBLISHED.value,
        product.published_at,
        settings.SHOP_CURRENCY,
        cheapest.price_amount,
        max(variant.price_amount for variant in product.variants),
        cheapest.compare_at_amount,
        product.rating,
        product.review_count,
        product.popularity,
        sum(variant.on_hand > 0 for variant in product.variants),
        "",
    )


def _variant_rows(products: Sequence[SeedProduct], now: datetime) -> Iterator[tuple[Any, ...]]:
    for product in products:
        for position, variant in enumerate(product.variants):
            yield (
                variant.id,
                product.published_at,
                now,
                product.id,
                variant.sku,
                variant.name,
                variant.price_amount,
                variant.compare_at_amount,
                variant.weight_grams,
                _json(variant.attributes),
                position,
            )


def _json(value: dict[str, str]) -> str:
    return orjson.dumps(value).decode()


def _count(products: Sequence[SeedProduct], categories: dict[str, UUID]) -> None:
    counts: dict[UUID, int] = {}
    for product in products:
        category = categories[product.category]
        counts[category] = counts.get(category, 0) + 1
    for category in sorted(counts):
        Category.objects.filter(pk=category).update(product_count=F("product_count") + counts[category])


def _events(products: Sequence[SeedProduct]) -> Iterator[tuple[Event, object]]:
    for product in products:
        variants = [
            ProductVariant(
                variant_id=variant.id,
                sku=variant.sku,
                price=Money(variant.price_amount, settings.SHOP_CURRENCY),
                attributes=variant.attributes,
            )
            for variant in product.variants
        ]
        yield (
            ProductPublished(
                version=1,
                product_id=product.id,
                seller_id=product.seller_id,
                slug=product.slug,
                name=product.name,
                category=product.category,
                variants=variants,
            ),
            product.id,
        )
        for variant in product.variants:
            changed = StockChanged(
                version=1, variant_id=variant.id, product_id=product.id, available=variant.on_hand
            )
            yield changed, variant.id
