from __future__ import annotations

from django.urls import path

from catalog.api import internal, public, views

urlpatterns = [
    path("catalog/categories", public.CategoryListView.as_view()),
    path("catalog/products", public.ProductListView.as_view()),
    path("catalog/products/<str:key>", public.ProductDetailView.as_view()),
    path("catalog/variants/<uuid:variant_id>/stock", views.VariantStockView.as_view()),
]

internal_urlpatterns = [
    path("variants", internal.VariantsView.as_view()),
    path("products", internal.SnapshotView.as_view()),
    path("reservations", internal.ReservationsView.as_view()),
    path("reservations/<uuid:order_id>", internal.ReservationView.as_view()),
]
