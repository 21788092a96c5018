"""Tables of the catalog.

Rows are locked in one order everywhere: reservations by order id, stock by variant id, products by id, categories by
id. Stock is written by `services.stock` only.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models import F, Q

from shared_lib.models import BaseModel, SoftDeleteModel, VersionedModel

SEARCH_CONFIG = "english"


class Category(BaseModel):
    """A node of the tree. `product_count` counts the published products directly in it."""

    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=120)
    parent = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="children")
    position = models.PositiveIntegerField(default=0)
    product_count = models.PositiveBigIntegerField(default=0, editable=False)

    class Meta:
        ordering = ("position", "name")
        verbose_name_plural = "categories"
        constraints = [
            models.CheckConstraint(condition=~Q(parent=F("id")), name="category_not_its_own_parent"),
        ]

    def __str__(self) -> str:
        return self.name


class Product(VersionedModel):
    """What is sold, with everything that lists filter and sort by kept on the row.

    Denormalised, each in the transaction of its cause: the price range and `compare_at_amount` (of the cheapest
    variant), `attribute_tokens` (`name=value`, folded, of product and variants), `variants_in_stock` (variants with
    something available), `thumbnail`, `rating` and `review_count`. `popularity` is the number of units sold.
    """

    class Status(models.TextChoices):
        DRAFT = "draft"
        PUBLISHED = "published"
        ARCHIVED = "archived"

    slug = models.SlugField(max_length=160, unique=True)
    seller_id = models.UUIDField()
    category = models.ForeignKey(Category, models.PROTECT, related_name="products", db_index=False)
    name = models.CharField(max_length=200)
    brand = models.CharField(max_length=80, blank=True)
    description = models.TextField(blank=True)
    keywords = models.TextField(
        blank=True, help_text="Words that find it beside name, brand and description."
    )
    attributes = models.JSONField(default=dict, blank=True)
    attribute_tokens = ArrayField(models.TextField(), default=list, blank=True, editable=False)
    status = models.CharField(max_length=10, choices=Status, default=Status.DRAFT)
    published_at = models.DateTimeField(null=True, blank=True)
    currency = models.CharField(max_length=3)
    min_price_amount = models.BigIntegerField(default=0, editable=False)
    max_price_amount = models.BigIntegerField(default=0, editable=False)
    compare_at_amount = models.BigIntegerField(null=True, blank=True, editable=False)
    rating = models.DecimalField(max_digits=3, decimal_places=2, default=0, editable=False)
    review_count = models.PositiveIntegerField(default=0, editable=False)
    popularity = models.PositiveBigIntegerField(default=0, editable=False)
    variants_in_stock = models.PositiveIntegerField(default=0, editable=False)
    thumbnail = models.CharField(max_length=200, blank=True, editable=False, help_text="Storage name.")
    search_vector = models.GeneratedField(
        expression=SearchVector("name", weight="A", config=SEARCH_CONFIG)
        + SearchVector("brand", weight="B", config=SEARCH_CONFIG)
        + SearchVector("keywords", weight="B", config=SEARCH_CONFIG)
        + SearchVector("description", weight="D", config=SEARCH_CONFIG),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(min_price_amount__gte=0) & Q(max_price_amount__gte=F("min_price_amount")),
                name="product_price_range",
            ),
            models.CheckConstraint(condition=Q(rating__gte=0) & Q(rating__lte=5), name="product_rating"),
            models.CheckConstraint(
                condition=~Q(status="published") | Q(published_at__isnull=False), name="product_published_at"
            ),
        ]
        # The columns of each sort of `selectors.products`, alone and within a category. Partial: only published
        # products are ever listed.
        indexes = [
            models.Index(
                fields=["published_at", "id"], name="product_newest", condition=Q(status="published")
            ),
            models.Index(
                fields=["min_price_amount", "id"], name="product_price", condition=Q(status="published")
            ),
            models.Index(
                fields=["rating", "review_count", "id"],
                name="product_rating",
                condition=Q(status="published"),
            ),
            models.Index(
                fields=["popularity", "id"], name="product_popular", condition=Q(status="published")
            ),
            models.Index(
                fields=["category", "published_at", "id"],
                name="product_cat_newest",
                condition=Q(status="published"),
            ),
            models.Index(
                fields=["category", "min_price_amount", "id"],
                name="product_cat_price",
                condition=Q(status="published"),
            ),
            models.Index(
                fields=["category", "rating", "review_count", "id"],
                name="product_cat_rating",
                condition=Q(status="published"),
            ),
            models.Index(
                fields=["category", "popularity", "id"],
                name="product_cat_popular",
                condition=Q(status="published"),
            ),
            models.Index(fields=["seller_id", "published_at", "id"], name="product_seller"),
            GinIndex(fields=["attribute_tokens"], name="product_attributes"),
            GinIndex(fields=["search_vector"], name="product_search"),
            GinIndex(OpClass(F("name"), name="gin_trgm_ops"), name="product_name_trigrams"),
        ]

    def __str__(self) -> str:
        return self.name


class Variant(SoftDeleteModel, BaseModel):
    """What is put into a cart. `name` tells it from its sisters (`Black / M`), empty where there is only one."""

    product = models.ForeignKey(Product, models.PROTECT, related_name="variants")
    sku = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=120, blank=True)
    price_amount = models.BigIntegerField()
    compare_at_amount = models.BigIntegerField(null=True, blank=True)
    weight_grams = models.PositiveIntegerField(default=0)
    attributes = models.JSONField(default=dict, blank=True)
    position = models.PositiveIntegerField(default=0)

    class Meta(SoftDeleteModel.Meta):
        ordering = ("position", "id")
        constraints = [
            models.CheckConstraint(condition=Q(price_amount__gte=0), name="variant_price"),
            models.CheckConstraint(
                condition=Q(compare_at_amount__isnull=True) | Q(compare_at_amount__gt=F("price_amount")),
                name="variant_compare_at",
            ),
        ]

    def __str__(self) -> str:
        return self.sku

    @property
    def full_name(self) -> str:
        """The product's name with what tells this variant from its sisters."""
        return f"{self.product.name} ({self.name})" if self.name else self.product.name


class Stock(models.Model):
    """What of a variant lies in the warehouse and how much of that is promised. `version` grows by one a change."""

    variant = models.OneToOneField(Variant, models.PROTECT, primary_key=True, related_name="stock")
    on_hand = models.BigIntegerField(default=0)
    reserved = models.BigIntegerField(default=0)
    version = models.PositiveBigIntegerField(default=1)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "stock"
        constraints = [
            models.CheckConstraint(condition=Q(reserved__gte=0), name="stock_reserved_not_negative"),
            models.CheckConstraint(
                condition=Q(reserved__lte=F("on_hand")), name="stock_reserved_within_on_hand"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.variant_id}: {self.on_hand - self.reserved} of {self.on_hand}"


class StockMovement(models.Model):
    """Why a stock row changed: one row for each version of it, never changed, never removed (a trigger sees to it).

    The sums over a variant's movements are its `on_hand` and `reserved`. `reference` is the order or the return; a kind
    happens at most once for a reference and variant.
    """

    class Kind(models.TextChoices):
        RECEIVED = "received"  # the opening stock, version 1
        ADJUSTED = "adjusted"
        RESERVED = "reserved"
        RELEASED = "released"
        SOLD = "sold"  # from the reservation
        RETAKEN = "retaken"  # sold after its reservation was gone
        RESTOCKED = "restocked"  # the order was cancelled after the sale
        RETURNED = "returned"

    variant = models.ForeignKey(Variant, models.PROTECT, related_name="movements", db_index=False)
    stock_version = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=10, choices=Kind)
    on_hand_delta = models.BigIntegerField()
    reserved_delta = models.BigIntegerField()
    reference = models.UUIDField(null=True, blank=True)
    actor_id = models.UUIDField(null=True, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["variant", "stock_version"], name="movement_each_stock_version"),
            models.UniqueConstraint(
                fields=["reference", "variant", "kind"],
                name="movement_once",
                condition=Q(reference__isnull=False),
            ),
        ]


class Reservation(models.Model):
    """What is held for one order.

        reserved → sold         the order was confirmed
        reserved → released     cancelled, undone, or past `expires_at`
        released → sold         confirmed after all, and there was still enough
        sold     → released     cancelled after it had been confirmed

    A row that starts as `released` is a tombstone: the order was undone before its reservation arrived, which then takes
    nothing. `order_version` is that of the last event applied; older ones are ignored. `counted`: its units are in
    `Product.popularity`.
    """

    class Status(models.TextChoices):
        RESERVED = "reserved"
        SOLD = "sold"
        RELEASED = "released"

    order_id = models.UUIDField(primary_key=True)
    status = models.CharField(max_length=10, choices=Status)
    order_version = models.PositiveBigIntegerField(default=0)
    expires_at = models.DateTimeField(null=True, blank=True)
    counted = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(status="reserved") | Q(expires_at__isnull=False),
                name="reservation_reserved_expires",
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at"], name="reservation_expiry", condition=Q(status="reserved")),
            models.Index(
                fields=["order_id"], name="reservation_uncounted", condition=Q(status="sold", counted=False)
            ),
        ]


class ReservationLine(models.Model):
    """One variant of a reservation, with what it cost and was called at that moment."""

    reservation = models.ForeignKey(Reservation, models.CASCADE, related_name="lines", db_index=False)
    variant = models.ForeignKey(Variant, models.PROTECT, related_name="reservation_lines")
    product_id = models.UUIDField()
    seller_id = models.UUIDField()
    sku = models.CharField(max_length=64)
    name = models.CharField(max_length=330)
    quantity = models.BigIntegerField()
    unit_price_amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    weight_grams = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reservation", "variant"], name="reservation_line_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="reservation_line_quantity"),
        ]


class StockShortage(models.Model):
    """A confirmed order whose reservation was gone and whose units were no longer there: its buyer gets the money back."""

    order_id = models.UUIDField()
    variant = models.ForeignKey(Variant, models.PROTECT, related_name="shortages")
    quantity = models.BigIntegerField()
    available = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["order_id", "variant"], name="shortage_once")]


class ProductImage(BaseModel):
    """A picture of a product and its thumbnail, as storage names. The first by `position` stands for the product."""

    product = models.ForeignKey(Product, models.CASCADE, related_name="images", db_index=False)
    position = models.PositiveIntegerField(default=0)
    file = models.CharField(max_length=200)
    thumbnail = models.CharField(max_length=200)
    alt = models.CharField(max_length=250, blank=True)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()

    class Meta:
        ordering = ("position",)
        constraints = [models.UniqueConstraint(fields=["product", "position"], name="image_position")]
