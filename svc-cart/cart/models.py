"""Carts and wish lists, and the read model of what they show.

`Product`, `Variant` and `Stock` copy what svc-catalog tells by events. Each copy keeps the version that it was told, and
never goes back to an older one. Their rows are never deleted: a line in a cart can always be shown.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from shared_lib.models import BaseModel, VersionedModel, uuid7

MAX_LINE_QUANTITY = 99
MAX_LINES = 100
MAX_WISHLIST_ITEMS = 200


class Product(models.Model):
    """A product as the catalog last described it. One that was archived before it was ever seen has empty texts."""

    id = models.UUIDField(primary_key=True)
    version = models.PositiveBigIntegerField()
    slug = models.CharField(max_length=255, blank=True)
    name = models.CharField(max_length=255, blank=True)
    category = models.CharField(max_length=255, blank=True)
    thumbnail = models.CharField(max_length=2000, blank=True)
    archived = models.BooleanField(default=False)
    updated_at = models.DateTimeField(auto_now=True)


class Variant(models.Model):
    """What is put into a cart. `sold` is False once the product goes on without this variant."""

    id = models.UUIDField(primary_key=True)
    product = models.ForeignKey(Product, models.PROTECT, related_name="variants")
    price_amount = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)
    sold = models.BooleanField(default=True)


class Stock(models.Model):
    """Units that can be bought. Without a foreign key: stock and product events come in any order."""

    variant = models.OneToOneField(
        Variant, models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="stock"
    )
    available = models.IntegerField()
    version = models.PositiveBigIntegerField()


class Cart(VersionedModel):
    """The cart of a user, or of a guest who holds the token whose SHA-256 is `token_hash`.

    `version` grows by one with each change of the content. Every write locks this row first.
    """

    user_id = models.UUIDField(null=True, editable=False)
    token_hash = models.BinaryField(max_length=32, null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user_id"], condition=Q(user_id__isnull=False), name="cart_one_for_each_user"
            ),
            models.UniqueConstraint(
                fields=["token_hash"], condition=Q(token_hash__isnull=False), name="cart_one_for_each_token"
            ),
            models.CheckConstraint(
                condition=Q(user_id__isnull=True, token_hash__isnull=False)
                | Q(user_id__isnull=False, token_hash__isnull=True),
                name="cart_of_a_user_or_of_a_guest",
            ),
        ]
        indexes = [
            models.Index(
                fields=["updated_at"], condition=Q(user_id__isnull=True), name="cart_guest_updated_at"
            )
        ]


class CartLine(models.Model):
    """Lines are shown in the order of their ids, which is that of their making."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    cart = models.ForeignKey(Cart, models.CASCADE, related_name="lines", db_index=False)
    variant = models.ForeignKey(Variant, models.PROTECT, related_name="+", db_index=False)
    quantity = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["cart", "variant"], name="cartline_one_for_each_variant"),
            models.CheckConstraint(
                condition=Q(quantity__gte=1) & Q(quantity__lte=MAX_LINE_QUANTITY),
                name="cartline_quantity_limits",
            ),
        ]


class WishlistItem(BaseModel):
    user_id = models.UUIDField(editable=False)
    variant = models.ForeignKey(Variant, models.PROTECT, related_name="+", db_index=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user_id", "variant"], name="wishlist_one_for_each_variant"),
        ]
        indexes = [
            models.Index("user_id", F("created_at").desc(), F("id").desc(), name="wishlist_newest_first")
        ]
