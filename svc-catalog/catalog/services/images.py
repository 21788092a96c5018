"""Pictures of products."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from uuid import UUID

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from catalog.models import Product, ProductImage
from catalog.seeds import pictures
from catalog.services.product_events import publish_products
from shared_lib.contracts.events import ProductUpdated

# What was drawn lies apart from what sellers uploaded: products with pictures of their own are never drawn for.
_DRAWN = "drawn/"
_BATCH = 50


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A picture and its thumbnail, both already in the storage under these names."""

    file: str
    thumbnail: str
    alt: str
    width: int
    height: int


@transaction.atomic
def put_images(images: Mapping[UUID, Mapping[int, StoredPicture]]) -> None:
    """Gives each product the pictures at these positions, in place of what was there, and tells of it.

    The picture at the first position becomes the product's thumbnail.
    """
    products = Product.objects.select_for_update(no_key=True).filter(pk__in=images).order_by("pk")
    now = timezone.now()
    rows = [
        ProductImage(product=product, position=position, updated_at=now, **_columns(picture))
        for product in products.defer("search_vector")
        for position, picture in images[product.pk].items()
    ]
    ProductImage.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["product", "position"],
        update_fields=["file", "thumbnail", "alt", "width", "height", "updated_at"],
    )
    for product in products.prefetch_related("images"):
        first = min(product.images.all(), key=lambda image: image.position)
        product.thumbnail = first.thumbnail
        product.bump()
        product.save(update_fields=["thumbnail", "version", "updated_at"])
    publish_products(ProductUpdated, images)


def _columns(picture: StoredPicture) -> dict[str, object]:
    return {name: getattr(picture, name) for name in StoredPicture.__slots__}


def draw_missing_images(count: int, *, progress: Callable[[int], None] = lambda pictures: None) -> int:
    """Draws pictures until every published product has `count`, and says how many it drew.

    Leaves products alone that have pictures of their own. A drawn picture whose file is gone is drawn again. `progress` is
    told after each batch how many are drawn.
    """
    drawn = 0
    after: UUID | None = None
    own = ProductImage.objects.filter(product=OuterRef("pk")).exclude(file__startswith=_DRAWN)
    while True:
        batch = list(
            Product.objects.filter(
                ~Exists(own), status=Product.Status.PUBLISHED, **({"pk__gt": after} if after else {})
            )
            .select_related("category")
            .prefetch_related("variants", "images")
            .defer("search_vector", "description", "keywords")
            .order_by("pk")[:_BATCH]
        )
        if not batch:
            return drawn
        after = batch[-1].pk
        images = {product.pk: stored for product in batch if (stored := _draw_for(product, count))}
        if images:
            put_images(images)
            drawn += sum(map(len, images.values()))
            progress(drawn)


def _draw_for(product: Product, count: int) -> dict[int, StoredPicture]:
    """Draws and stores what the product lacks, by position."""
    whole = {
        image.position
        for image in product.images.all()
        if default_storage.exists(image.file) and default_storage.exists(image.thumbnail)
    }
    missing = [position for position in range(count) if position not in whole]
    if not missing:
        return {}
    colors = list(dict.fromkeys(variant.attributes.get("color", "") for variant in product.variants.all()))
    made = pictures.draw_pictures(
        key=str(product.pk), name=product.name, category=product.category.name, colors=colors, count=count
    )
    return {position: _store(product, position, *made[position]) for position in missing}


def _store(product: Product, position: int, picture: bytes, thumbnail: bytes) -> StoredPicture:
    """Names carry a digest of the content, so that a cached picture never has to be asked for again."""
    stem = f"{_DRAWN}{product.pk}/{position + 1}-{blake2b(picture, digest_size=6).hexdigest()}"
    return StoredPicture(
        file=default_storage.save(f"{stem}.jpg", ContentFile(picture)),
        thumbnail=default_storage.save(f"{stem}-thumb.jpg", ContentFile(thumbnail)),
        alt=f"{product.name}, picture {position + 1}",
        width=pictures.SIZE,
        height=pictures.SIZE,
    )
