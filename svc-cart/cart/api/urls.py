"""Paths below /api/v1/ and /internal/v1/."""

from __future__ import annotations

from django.urls import path

from cart.api import internal, views

urlpatterns = [
    path("cart", views.CartView.as_view()),
    path("cart/lines", views.LinesView.as_view()),
    path("cart/lines/<uuid:line_id>", views.LineView.as_view()),
    path("cart/merge", views.MergeView.as_view()),
    path("cart/wishlist", views.WishlistView.as_view()),
    path("cart/wishlist/<uuid:item_id>", views.WishView.as_view()),
]

internal_urlpatterns = [
    path("carts/<uuid:user_id>", internal.CartSnapshotView.as_view()),
]
