"""What svc-catalog's reads are compared with: Django REST Framework as it is usually written, over the same rows.

Model serializers and generic views, no authentication, and no column read that is not shown. Runs in the service's own web
process with `DJANGO_SETTINGS_MODULE=load.baseline_settings`.
"""

from __future__ import annotations

from django.db.models import Prefetch
from django.urls import include, path
from rest_framework import generics, pagination, serializers
from rest_framework.permissions import AllowAny

from catalog.models import Category, Product, ProductImage, Variant

_CARD = (
    *("id", "slug", "name", "min_price_amount", "currency", "compare_at_amount", "thumbnail", "rating"),
    *("review_count", "variants_in_stock", "seller_id"),
)


class CardSerializer(serializers.ModelSerializer[Product]):
    class Meta:
        model = Product
        fields = _CARD


class CategorySerializer(serializers.ModelSerializer[Category]):
    class Meta:
        model = Category
        fields = ("id", "slug", "name")


class ImageSerializer(serializers.ModelSerializer[ProductImage]):
    class Meta:
        model = ProductImage
        fields = ("file", "thumbnail", "alt")


class VariantSerializer(serializers.ModelSerializer[Variant]):
    on_hand = serializers.IntegerField(source="stock.on_hand")
    reserved = serializers.IntegerField(source="stock.reserved")

    class Meta:
        model = Variant
        fields = ("id", "sku", "price_amount", "attributes", "on_hand", "reserved")


class DetailSerializer(serializers.ModelSerializer[Product]):
    category = CategorySerializer()
    images = ImageSerializer(many=True)
    variants = VariantSerializer(many=True)

    class Meta:
        model = Product
        fields = (*_CARD, "description", "attributes", "category", "images", "variants")


class Newest(pagination.CursorPagination):
    page_size = 20
    ordering = ("-published_at", "-id")


class ProductList(generics.ListAPIView[Product]):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    filter_backends = ()
    pagination_class = Newest
    serializer_class = CardSerializer
    queryset = Product.objects.filter(status="published").only(*_CARD, "published_at")


class ProductDetail(generics.RetrieveAPIView[Product]):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    filter_backends = ()
    lookup_field = "slug"
    serializer_class = DetailSerializer
    queryset = (
        Product.objects.filter(status="published")
        .defer("search_vector", "keywords")
        .select_related("category")
        .prefetch_related(
            "images", Prefetch("variants", Variant.objects.filter(deleted_at=None).select_related("stock"))
        )
    )


urlpatterns = [
    path("baseline/products", ProductList.as_view()),
    path("baseline/products/<slug:slug>", ProductDetail.as_view()),
    path("", include("config.urls")),
]
