"""Paths below /api/v1/ and /internal/v1/."""

from __future__ import annotations

from django.urls import path

from cart.api import coupons, internal, views

urlpatterns = [
    path("cart", views.CartView.as_view()),
    path("cart/lines", views.LinesView.as_view()),
    path("cart/lines/<uuid:line_id>", views.LineView.as_view()),
    path("cart/merge", views.MergeView.as_view()),
    path("cart/coupons", views.CouponsView.as_view()),
    path("cart/coupons/<str:code>", views.CouponView.as_view()),
    path("cart/admin/coupons", coupons.AdminCouponsView.as_view()),
    path("cart/admin/coupons/<uuid:coupon_id>", coupons.AdminCouponView.as_view()),
    path("cart/admin/coupons/<uuid:coupon_id>/stop", coupons.StopCouponView.as_view()),
    path("cart/wishlist", views.WishlistView.as_view()),
    path("cart/wishlist/<uuid:item_id>", views.WishView.as_view()),
    path("cart/wishlist/<uuid:item_id>/move", views.MoveWishView.as_view()),
]

internal_urlpatterns = [
    path("carts/<uuid:user_id>", internal.CartSnapshotView.as_view()),
    path("carts/<uuid:user_id>/contents", internal.CartContentsView.as_view()),
    path("coupon-uses", internal.CouponUsesView.as_view()),
    path("coupon-uses/<uuid:order_id>", internal.CouponUseView.as_view()),
]
