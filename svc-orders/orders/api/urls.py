"""Paths below /api/v1/. svc-orders has no internal ones of its own."""

from __future__ import annotations

from django.urls import path

from orders.api import views

urlpatterns = [
    path("orders", views.OrdersView.as_view()),
    path("orders/shipping-methods", views.ShippingMethodsView.as_view()),
    path("orders/quote", views.QuoteView.as_view()),
    path("orders/admin", views.AdminOrdersView.as_view()),
    path("orders/<uuid:order_id>", views.OrderView.as_view()),
    path("orders/<uuid:order_id>/payments", views.PaymentsView.as_view()),
    path("orders/<uuid:order_id>/cancel", views.CancelView.as_view()),
    path("orders/<uuid:order_id>/ship", views.ShipView.as_view()),
    path("orders/<uuid:order_id>/deliver", views.DeliverView.as_view()),
]
