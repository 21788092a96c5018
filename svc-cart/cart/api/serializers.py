"""What comes in is validated here; what goes out is only described here: selectors build it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from cart.discounts import Reason
from cart.models import MAX_LINE_QUANTITY, Coupon, CouponKind, WishlistItem
from cart.selectors import Availability, absolute_url, units_available
from shared_lib.api.fields import MoneyField
from shared_lib.money import Money

COUPON_CODE = r"^[A-Za-z0-9_-]{3,40}\Z"


class NewLineSerializer(serializers.Serializer[Any]):
    variant_id = serializers.UUIDField()
    quantity = serializers.IntegerField(min_value=1, max_value=MAX_LINE_QUANTITY)


class LineChangeSerializer(serializers.Serializer[Any]):
    quantity = serializers.IntegerField(min_value=1, max_value=MAX_LINE_QUANTITY)


class CartProductSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    thumbnail = serializers.URLField(allow_null=True)


class PriceChangeSerializer(serializers.Serializer[Any]):
    """What the price was when the line was put in or changed, and what it is now."""

    to = MoneyField()

    def get_fields(self) -> dict[str, Any]:
        return {"from": MoneyField(), **super().get_fields()}


class CartLineSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    variant_id = serializers.UUIDField()
    product = CartProductSerializer()
    quantity = serializers.IntegerField(min_value=1, max_value=MAX_LINE_QUANTITY)
    unit_price = MoneyField()
    line_total = MoneyField()
    available = serializers.IntegerField(
        min_value=0, help_text="Units that can be bought now; 0 for what is not sold any more."
    )
    availability = serializers.ChoiceField(
        [each.value for each in Availability],
        help_text="`insufficient`: fewer than the line asks for; `not_sold`: the product or variant is gone for good.",
    )
    price_changed = PriceChangeSerializer(
        allow_null=True,
        help_text="Null while the price is what it was. A PATCH with the same quantity says that the new one was seen.",
    )


class CartCouponSerializer(serializers.Serializer[Any]):
    """`discount` is what the coupon takes of the lines; free shipping takes its part when the order is placed."""

    code = serializers.CharField()
    kind = serializers.ChoiceField(CouponKind.choices)
    applied = serializers.BooleanField()
    reason = serializers.ChoiceField(
        [reason.value for reason in Reason],
        allow_null=True,
        help_text="Why it does not apply at this moment.",
    )
    discount = MoneyField()


class CartSerializer(serializers.Serializer[Any]):
    """`id` is null and `version` 0 as long as nothing was ever put into the cart."""

    id = serializers.UUIDField(allow_null=True)
    version = serializers.IntegerField(min_value=0)
    lines = CartLineSerializer(many=True)
    coupons = CartCouponSerializer(many=True)
    subtotal = MoneyField()
    discount = MoneyField()
    total = MoneyField()


class NewCartCouponSerializer(serializers.Serializer[Any]):
    code = serializers.CharField(max_length=100)


class NewWishSerializer(serializers.Serializer[Any]):
    variant_id = serializers.UUIDField()


class MoveWishSerializer(serializers.Serializer[Any]):
    quantity = serializers.IntegerField(min_value=1, max_value=MAX_LINE_QUANTITY, default=1)


class WishSerializer(serializers.Serializer[WishlistItem]):
    id = serializers.UUIDField()
    variant_id = serializers.UUIDField()
    product = CartProductSerializer()
    unit_price = MoneyField()
    available = serializers.IntegerField(min_value=0)
    created_at = serializers.DateTimeField()

    def to_representation(self, instance: WishlistItem) -> dict[str, Any]:
        variant = instance.variant
        return {
            "id": instance.pk,
            "variant_id": variant.pk,
            "product": {
                "id": variant.product.pk,
                "slug": variant.product.slug,
                "name": variant.product.name,
                "thumbnail": absolute_url(variant.product.thumbnail),
            },
            "unit_price": Money(variant.price_amount, variant.currency),
            "available": units_available(variant),
            "created_at": instance.created_at,
        }


_MAX_COUNT = 2**31 - 1


class _MinorUnits(MoneyField):
    """Money of the shop's currency in the contract, minor units in the table."""

    def __init__(self, *, min_amount: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._min_amount = min_amount

    def to_internal_value(self, data: Any) -> Any:
        money = super().to_internal_value(data)
        if money.amount < self._min_amount:
            raise serializers.ValidationError(f"At least {self._min_amount} minor units.", "min_value")
        return money.amount


class CouponChangeSerializer(serializers.Serializer[Any]):
    """Null or an empty list takes a condition away."""

    description = serializers.CharField(max_length=200, allow_blank=True, required=False)
    basis_points = serializers.IntegerField(
        min_value=1,
        max_value=10_000,
        required=False,
        allow_null=True,
        help_text="1000 is 10 %; only for `percent`.",
    )
    amount = _MinorUnits(
        min_amount=1, required=False, allow_null=True, source="fixed_amount", help_text="Only for `fixed`."
    )
    minimum = _MinorUnits(
        min_amount=0,
        required=False,
        allow_null=True,
        source="minimum_amount",
        help_text="What the lines that the coupon is for must cost before any discount.",
    )
    categories = serializers.ListField(
        child=serializers.SlugField(max_length=255),
        max_length=50,
        required=False,
        help_text="Slugs; each stands for its whole subtree. Empty: all products.",
    )
    starts_at = serializers.DateTimeField(allow_null=True, required=False)
    ends_at = serializers.DateTimeField(allow_null=True, required=False)
    exclusive = serializers.BooleanField(required=False, help_text="Goes with no other coupon.")
    stackable_with = serializers.ListField(
        child=serializers.RegexField(COUPON_CODE),
        max_length=50,
        required=False,
        help_text="Codes of the coupons that it goes with. Empty: with any that is not exclusive.",
    )
    user_limit = serializers.IntegerField(min_value=1, max_value=_MAX_COUNT, allow_null=True, required=False)
    total_limit = serializers.IntegerField(min_value=1, max_value=_MAX_COUNT, allow_null=True, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        nothing = {"basis_points": 0, "fixed_amount": 0, "minimum_amount": 0}
        return {name: nothing.get(name) if value is None else value for name, value in attrs.items()}

    def validate_stackable_with(self, codes: list[str]) -> list[str]:
        return [code.upper() for code in codes]


class NewCouponSerializer(CouponChangeSerializer):
    code = serializers.RegexField(COUPON_CODE, help_text="Upper and lower case are the same.")
    kind = serializers.ChoiceField(CouponKind.choices)


class CouponSerializer(serializers.Serializer[Coupon]):
    id = serializers.UUIDField()
    version = serializers.IntegerField(min_value=1)
    code = serializers.CharField()
    description = serializers.CharField()
    kind = serializers.ChoiceField(CouponKind.choices)
    basis_points = serializers.IntegerField(allow_null=True)
    amount = MoneyField(allow_null=True)
    minimum = MoneyField(allow_null=True)
    categories = serializers.ListField(child=serializers.CharField())
    starts_at = serializers.DateTimeField(allow_null=True)
    ends_at = serializers.DateTimeField(allow_null=True)
    exclusive = serializers.BooleanField()
    stackable_with = serializers.ListField(child=serializers.CharField())
    user_limit = serializers.IntegerField(allow_null=True)
    total_limit = serializers.IntegerField(allow_null=True)
    used = serializers.IntegerField(min_value=0)
    stopped_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()

    def to_representation(self, instance: Coupon) -> dict[str, Any]:
        def money(amount: int) -> Money | None:
            return Money(amount, instance.currency) if amount else None

        return {
            "id": instance.pk,
            "version": instance.version,
            "code": instance.code,
            "description": instance.description,
            "kind": instance.kind,
            "basis_points": instance.basis_points or None,
            "amount": money(instance.fixed_amount),
            "minimum": money(instance.minimum_amount),
            "categories": instance.categories,
            "starts_at": instance.starts_at,
            "ends_at": instance.ends_at,
            "exclusive": instance.exclusive,
            "stackable_with": instance.stackable_with,
            "user_limit": instance.user_limit,
            "total_limit": instance.total_limit,
            "used": instance.used,
            "stopped_at": instance.stopped_at,
            "created_at": instance.created_at,
        }


class CouponFilterSerializer(serializers.Serializer[Any]):
    code = serializers.RegexField(
        r"^[A-Za-z0-9_-]{1,40}\Z", required=False, help_text="Any part of the code."
    )
    active = serializers.BooleanField(
        required=False, allow_null=True, default=None, help_text="Neither stopped nor over."
    )
