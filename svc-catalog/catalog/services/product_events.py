"""What the catalog tells others of a product."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.db.models import Prefetch

from catalog.models import Product, Variant
from shared_lib.contracts.events import ProductState, ProductVariant
from shared_lib.events import publish_all
from shared_lib.money import Money

State = TypeVar("State", bound=ProductState)


def media_url(name: str) -> str | None:
    """The public URL of a stored picture; None for none."""
    return f"{settings.MEDIA_URL}{name}" if name else None


def publish_products(contract: type[State], product_ids: Iterable[UUID]) -> None:
    """Publishes the state of each product, as the caller's transaction has left it, as an event of type `contract`."""
    variants = Prefetch("variants", Variant.objects.order_by("position", "id"))
    products = (
        Product.objects.filter(pk__in=list(product_ids))
        .select_related("category")
        .prefetch_related(variants)
        .defer("search_vector", "description", "keywords")
    )
    publish_all((_state(contract, product), product.pk) for product in products)


def _state(contract: type[State], product: Product) -> State:
    return contract(
        version=product.version,
        product_id=product.pk,
        seller_id=product.seller_id,
        slug=product.slug,
        name=product.name,
        category=product.category.slug,
        thumbnail=media_url(product.thumbnail),
        variants=[
            ProductVariant(
                variant_id=variant.pk,
                sku=variant.sku,
                price=Money(variant.price_amount, product.currency),
                attributes=variant.attributes,
            )
            for variant in product.variants.all()
        ],
    )
