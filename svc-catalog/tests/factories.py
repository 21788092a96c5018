"""Rows to test with, as the shop would have made them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from catalog.models import Category, Product, Stock, StockMovement, Variant
from catalog.selectors.products import attribute_token
from shared_lib.ids import uuid7

_numbers: Iterator[int] = itertools.count(1)
SELLER = UUID("5ca1ab1e-0000-7000-8000-000000000001")
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def make_category(slug: str | None = None, *, parent: Category | None = None, **fields: Any) -> Category:
    slug = slug or f"category-{next(_numbers)}"
    return Category.objects.create(
        slug=slug, name=fields.pop("name", slug.replace("-", " ").title()), parent=parent, **fields
    )


def make_product(
    *,
    stock: list[int] | None = None,
    prices: list[int] | None = None,
    category: Category | None = None,
    variants: list[dict[str, Any]] | None = None,
    **fields: Any,
) -> Product:
    """A published product with one variant for each entry of `prices`, `stock` or `variants` (their attributes)."""
    number = next(_numbers)
    count = max(len(stock or []), len(prices or []), len(variants or []), 1)
    stock = stock or [10] * count
    prices = prices or [1999] * count
    variants = variants or [{}] * count
    attributes = fields.pop("attributes", {})
    tokens = {
        attribute_token(name, value) for each in (attributes, *variants) for name, value in each.items()
    }
    category = category or make_category()
    product = Product.objects.create(
        **{
            "slug": f"product-{number}",
            "seller_id": SELLER,
            "category": category,
            "name": f"Product {number}",
            "status": Product.Status.PUBLISHED,
            "published_at": _EPOCH + timedelta(minutes=number),
            "currency": "USD",
            "min_price_amount": min(prices),
            "max_price_amount": max(prices),
            "attributes": attributes,
            "attribute_tokens": sorted(tokens),
            "variants_in_stock": sum(on_hand > 0 for on_hand in stock),
            **fields,
        }
    )
    for position, (price, on_hand, described) in enumerate(zip(prices, stock, variants, strict=True)):
        make_variant(product, price=price, on_hand=on_hand, attributes=described, position=position)
    return product


def make_variant(
    product: Product, *, price: int = 1999, on_hand: int = 10, attributes: dict[str, str], position: int = 0
) -> Variant:
    variant = Variant.objects.create(
        product=product,
        sku=f"SKU-{next(_numbers)}",
        name=" / ".join(attributes.values()),
        price_amount=price,
        weight_grams=500,
        attributes=attributes,
        position=position,
    )
    Stock.objects.create(variant=variant, on_hand=on_hand)
    StockMovement.objects.create(
        variant=variant,
        stock_version=1,
        kind=StockMovement.Kind.RECEIVED,
        on_hand_delta=on_hand,
        reserved_delta=0,
    )
    return variant


def variant_of(product: Product, position: int = 0) -> Variant:
    return product.variants.get(position=position)


def new_id() -> UUID:
    return uuid7()
