"""Carts, coupons and wish lists, and the read model of what they show.

`Product`, `Variant` and `Stock` copy what svc-catalog tells by events. Each copy keeps the version that it was told, and
never goes back to an older one. Their rows are never deleted: a line in a cart can always be shown.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper

from shared_lib.models import BaseModel, VersionedModel, uuid7

MAX_LINE_QUANTITY = 99
MAX_LINES = 100
MAX_COUPONS = 5
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

    `version` grows by one with each change of the content. Every write locks this row first. `idle_version` is the version
    that was seen to lie idle: a cart is looked at once for each time it is left alone.
    """

    user_id = models.UUIDField(null=True, editable=False)
    token_hash = models.BinaryField(max_length=32, null=True)
    idle_version = models.PositiveBigIntegerField(default=0, db_default=0, editable=False)

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
            ),
            models.Index(
                fields=["updated_at"],
                condition=Q(user_id__isnull=False, idle_version__lt=F("version")),
                name="cart_not_yet_idle",
            ),
        ]


class CartLine(models.Model):
    """Lines are shown in the order of their ids, which is that of their making.

    `seen_amount` is the unit price that the buyer saw when putting the variant in or changing the line; null for lines older
    than this column.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    cart = models.ForeignKey(Cart, models.CASCADE, related_name="lines", db_index=False)
    variant = models.ForeignKey(Variant, models.PROTECT, related_name="+", db_index=False)
    quantity = models.PositiveSmallIntegerField()
    seen_amount = models.PositiveBigIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["cart", "variant"], name="cartline_one_for_each_variant"),
            models.CheckConstraint(
                condition=Q(quantity__gte=1) & Q(quantity__lte=MAX_LINE_QUANTITY),
                name="cartline_quantity_limits",
            ),
        ]


class CouponKind(models.TextChoices):
    """`percent` takes basis points of the lines it is for, `fixed` an amount of them, `free_shipping` the price of shipping."""

    PERCENT = "percent"
    FIXED = "fixed"
    FREE_SHIPPING = "free_shipping"


class Coupon(VersionedModel):
    """A coupon as staff made it; never deleted, only stopped. `version` is that of what staff writes, not of `used`.

    `code` is kept in capitals: upper and lower case are the same. `categories` are slugs as given (empty: all products);
    `category_slugs` are these and all below them, as the catalog last told. `used` counts the rows of `CouponUse`: both
    change in one transaction that holds this row, so that no limit can be passed.

    Two coupons go together unless one is `exclusive`, or one names in `stackable_with` those it goes with and not the other.
    """

    code = models.CharField(max_length=40, unique=True)
    description = models.CharField(max_length=200, blank=True)
    kind = models.CharField(max_length=20, choices=CouponKind)
    basis_points = models.PositiveIntegerField(default=0)
    fixed_amount = models.PositiveBigIntegerField(default=0)
    minimum_amount = models.PositiveBigIntegerField(default=0)
    currency = models.CharField(max_length=3)
    categories = ArrayField(models.CharField(max_length=255), default=list, blank=True)
    category_slugs = ArrayField(models.CharField(max_length=255), default=list, blank=True, editable=False)
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True, editable=False)
    exclusive = models.BooleanField(default=False)
    stackable_with = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    user_limit = models.PositiveIntegerField(null=True, blank=True)
    total_limit = models.PositiveIntegerField(null=True, blank=True)
    used = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(code=Upper("code")), name="coupon_code_in_capitals"),
            models.CheckConstraint(
                condition=Q(kind="percent", basis_points__gte=1, basis_points__lte=10_000, fixed_amount=0)
                | Q(kind="fixed", basis_points=0, fixed_amount__gte=1)
                | Q(kind="free_shipping", basis_points=0, fixed_amount=0),
                name="coupon_takes_what_its_kind_says",
            ),
            models.CheckConstraint(
                condition=Q(total_limit__isnull=True) | Q(used__lte=F("total_limit")),
                name="coupon_used_within_its_limit",
            ),
            models.CheckConstraint(
                condition=Q(starts_at__isnull=True) | Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")),
                name="coupon_ends_after_its_start",
            ),
            models.CheckConstraint(
                condition=Q(exclusive=False) | Q(stackable_with__len=0), name="coupon_exclusive_or_stackable"
            ),
        ]
        indexes = [models.Index(F("created_at").desc(), F("id").desc(), name="coupon_newest_first")]


class AppliedCoupon(models.Model):
    """A coupon in a cart. They apply in the order of these ids, which is that of their coming."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    cart = models.ForeignKey(Cart, models.CASCADE, related_name="applied_coupons", db_index=False)
    coupon = models.ForeignKey(Coupon, models.PROTECT, db_index=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["cart", "coupon"], name="appliedcoupon_once_in_a_cart"),
        ]


class CouponOrder(models.Model):
    """An order that uses coupons, or, once `closed_at` is set, one that has given its uses back and takes none again.

    Taking and giving back lock this row first: whichever comes second sees what the other did.
    """

    order_id = models.UUIDField(primary_key=True)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["closed_at"], condition=Q(closed_at__isnull=False), name="couponorder_closed_at"
            )
        ]


class CouponUse(models.Model):
    """One use of a coupon by one order. `paid` once the order was confirmed. `user_id` is null once the user is erased.

    `number` is the lowest one that no other use of this coupon by this user has, from 1: with the constraint, a user who
    may use a coupon N times can never hold more than N rows.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    order = models.ForeignKey(CouponOrder, models.CASCADE, related_name="uses", db_index=False)
    coupon = models.ForeignKey(Coupon, models.PROTECT, related_name="uses", db_index=False)
    user_id = models.UUIDField(null=True, editable=False)
    number = models.PositiveIntegerField()
    paid = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order", "coupon"], name="couponuse_once_in_an_order"),
            models.UniqueConstraint(fields=["coupon", "user_id", "number"], name="couponuse_once_a_number"),
            models.CheckConstraint(condition=Q(number__gte=1), name="couponuse_number_from_1"),
        ]
        indexes = [
            models.Index(fields=["user_id"], condition=Q(user_id__isnull=False), name="couponuse_of_a_user")
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
