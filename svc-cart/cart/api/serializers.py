"""What comes in is validated here; what goes out is only described here: selectors build it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from cart.models import MAX_LINE_QUANTITY, WishlistItem
from cart.selectors import absolute_url, units_available
from shared_lib.api.fields import MoneyField
from shared_lib.money import Money


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


class CartSerializer(serializers.Serializer[Any]):
    """`id` is null and `version` 0 as long as nothing was ever put into the cart."""

    id = serializers.UUIDField(allow_null=True)
    version = serializers.IntegerField(min_value=0)
    lines = CartLineSerializer(many=True)
    subtotal = MoneyField()
    discount = MoneyField()
    total = MoneyField()


class NewWishSerializer(serializers.Serializer[Any]):
    variant_id = serializers.UUIDField()


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
