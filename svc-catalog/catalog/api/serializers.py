"""Bodies of the catalog. Those of reads only describe: PostgreSQL makes that JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from shared_lib.api.fields import MoneyField

_MAX_DELTA = 1_000_000_000


class StockAdjustmentSerializer(serializers.Serializer[Any]):
    delta = serializers.IntegerField(
        min_value=-_MAX_DELTA, max_value=_MAX_DELTA, help_text="Units to add; negative takes away."
    )
    reason = serializers.CharField(max_length=500)


class StockLevelSerializer(serializers.Serializer[Any]):
    variant_id = serializers.UUIDField()
    on_hand = serializers.IntegerField()
    reserved = serializers.IntegerField()
    available = serializers.IntegerField()


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class AttributesField(serializers.DictField):
    child = serializers.CharField()


class CategoryReferenceSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()


class CategorySerializer(CategoryReferenceSerializer):
    children = serializers.SerializerMethodField()
    product_count = serializers.IntegerField(help_text="Published products in the whole subtree.")

    @extend_schema_field({"type": "array", "items": {"$ref": "#/components/schemas/Category"}})
    def get_children(self, node: dict[str, Any]) -> Any:
        return node["children"]


class CategoryTreeSerializer(serializers.Serializer[Any]):
    results = CategorySerializer(many=True)


class ProductCardSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    price = MoneyField(help_text="Of the cheapest variant.")
    compare_at_price = MoneyField(
        allow_null=True, help_text="What the cheapest variant cost before, where it is reduced."
    )
    thumbnail = serializers.URLField(allow_null=True)
    rating = serializers.FloatField(
        allow_null=True, min_value=0, max_value=5, help_text="Null before the first review."
    )
    review_count = serializers.IntegerField(min_value=0)
    in_stock = serializers.BooleanField()
    seller = serializers.UUIDField()


class ProductPageSerializer(serializers.Serializer[Any]):
    results = ProductCardSerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class ImageSerializer(serializers.Serializer[Any]):
    url = serializers.URLField()
    thumbnail = serializers.URLField()
    alt = serializers.CharField()


class VariantSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    sku = serializers.CharField()
    price = MoneyField()
    attributes = AttributesField()
    available = serializers.IntegerField(min_value=0, help_text="On hand minus reserved.")


class ProductDetailSerializer(ProductCardSerializer):
    description = serializers.CharField()
    category = CategoryReferenceSerializer()
    attributes = AttributesField()
    images = ImageSerializer(many=True)
    variants = VariantSerializer(many=True)
