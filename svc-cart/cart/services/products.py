"""Keeping the read model of products, variants and stock.

What is stored is never older than what was stored before: the version decides, whatever order messages come in. The same
version again is stored again, since it says the same and may say more (an answer about one variant tells of that one only).
A write takes the lock of the product's row first, then those of its variants, then stock in the order of ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from cart import clients
from cart.exceptions import ForeignCurrency, VariantNotFound
from cart.models import Product, Variant
from cart.selectors import find_offers
from shared_lib.contracts.events import ProductState, StockChanged
from shared_lib.contracts.internal.catalog import SnapshotProduct
from shared_lib.contracts.internal.catalog import Variant as CatalogVariant
from shared_lib.money import Money

_STORE_PRODUCT = """
INSERT INTO cart_product (id, version, slug, name, category, thumbnail, archived, updated_at)
VALUES (%s, %s, %s, %s, %s, %s, false, %s)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, slug = excluded.slug, name = excluded.name,
    category = excluded.category, thumbnail = excluded.thumbnail, archived = false, updated_at = excluded.updated_at
WHERE cart_product.version <= excluded.version
"""

# An archived product keeps its texts, since carts still show it.
_ARCHIVE_PRODUCT = """
INSERT INTO cart_product (id, version, slug, name, category, thumbnail, archived, updated_at)
VALUES (%s, %s, '', '', '', '', true, %s)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, archived = true, updated_at = excluded.updated_at
WHERE cart_product.version <= excluded.version
"""

_STORE_STOCK = """
INSERT INTO cart_stock (variant_id, available, version)
SELECT * FROM unnest(%s::uuid[], %s::integer[], %s::bigint[])
ON CONFLICT (variant_id) DO UPDATE SET available = excluded.available, version = excluded.version
WHERE cart_stock.version < excluded.version
"""


@transaction.atomic(savepoint=False)
def store_product(*, product: ProductState | SnapshotProduct) -> bool:
    """Stores a product with all its variants; those that it has no more are not sold any more.

    False when a newer version is known already. Raises `ForeignCurrency`.
    """
    _check_currency(variant.price for variant in product.variants)
    stored = _store_product_row(
        product.product_id, product.version, product.slug, product.name, product.category, product.thumbnail
    )
    if stored:
        prices = {variant.variant_id: variant.price for variant in product.variants}
        _store_variant_rows(product.product_id, prices)
        gone = Variant.objects.filter(product_id=product.product_id, sold=True)
        gone.exclude(pk__in=prices).update(sold=False)
    return stored


def archive_product(*, product_id: UUID, version: int) -> None:
    """The product is not sold any more. Remembered also for one that was never seen: its older messages come too late."""
    with connection.cursor() as cursor:
        cursor.execute(_ARCHIVE_PRODUCT, [product_id, version, timezone.now()])


def store_stock(*, changes: Iterable[StockChanged]) -> None:
    """Stores the units that can be bought of each variant, be it known already or not.

    Of several changes of one variant the newest counts.
    """
    _store_stock_rows([(change.variant_id, change.available, change.version) for change in changes])


def ensure_offers(*, variant_ids: Sequence[UUID]) -> None:
    """Asks the catalog, once and outside of any transaction, about the variants that the read model does not know.

    Raises `VariantNotFound` if the catalog does not know one of them either, and `ServiceUnavailable` if it is needed but
    does not answer.
    """
    known = find_offers(variant_ids=variant_ids)
    missing = [variant_id for variant_id in variant_ids if variant_id not in known]
    if not missing:
        return
    answers = clients.get_variants(variant_ids=missing)
    _check_currency(answer.unit_price for answer in answers)
    with transaction.atomic():
        for answer in sorted(answers, key=lambda answer: answer.product_id):
            _store_answer(answer)
        _store_stock_rows([(answer.variant_id, answer.available, answer.stock_version) for answer in answers])
    if {answer.variant_id for answer in answers} != set(missing):
        raise VariantNotFound


def rebuild_products() -> int:
    """Reads all products that are sold from the catalog's snapshot pages; says how many.

    A product that is in no page, and that no event touched since the start, is archived.
    """
    started = timezone.now()
    count = 0
    for page in clients.product_pages():
        for product in sorted(page.results, key=lambda product: product.product_id):
            with transaction.atomic():
                store_product(product=product)
                _store_stock_rows(
                    [
                        (variant.variant_id, variant.available, variant.stock_version)
                        for variant in product.variants
                    ]
                )
            count += 1
        # Also those of which a newer version was known: they are in the snapshot.
        Product.objects.filter(pk__in=[product.product_id for product in page.results]).update(
            updated_at=timezone.now()
        )
    Product.objects.filter(updated_at__lt=started, archived=False).update(archived=True)
    return count


def _check_currency(prices: Iterable[Money]) -> None:
    for price in prices:
        if price.currency != settings.SHOP_CURRENCY:
            raise ForeignCurrency(
                f"A price in {price.currency} came to a shop that sells in {settings.SHOP_CURRENCY}."
            )


def _store_product_row(
    product_id: UUID, version: int, slug: str, name: str, category: str, thumbnail: str | None
) -> bool:
    """False when the row is newer. Otherwise the row is locked until the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            _STORE_PRODUCT,
            [product_id, version, slug, name, category, thumbnail or "", timezone.now()],
        )
        return bool(cursor.rowcount)


def _store_variant_rows(product_id: UUID, prices: Mapping[UUID, Money]) -> None:
    Variant.objects.bulk_create(
        [
            Variant(id=variant_id, product_id=product_id, price_amount=price.amount, currency=price.currency)
            for variant_id, price in prices.items()
        ],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["product", "price_amount", "currency", "sold"],
    )


def _store_answer(answer: CatalogVariant) -> None:
    """Stores the one variant that the catalog told of, unless the product is known in a newer version without it."""
    stored = _store_product_row(
        answer.product_id,
        answer.product_version,
        answer.product_slug,
        answer.name,
        answer.category,
        answer.thumbnail,
    )
    if stored:
        _store_variant_rows(answer.product_id, {answer.variant_id: answer.unit_price})


def _store_stock_rows(rows: Sequence[tuple[UUID, int, int]]) -> None:
    # A statement may touch a row once, so of each variant only the newest goes into it.
    newest = {row[0]: row for row in sorted(rows, key=lambda row: row[2])}
    if not newest:
        return
    ordered = sorted(newest.values(), key=lambda row: row[0].int)
    with connection.cursor() as cursor:
        cursor.execute(_STORE_STOCK, [list(column) for column in zip(*ordered, strict=True)])
