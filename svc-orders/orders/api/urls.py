"""Paths below /api/v1/. svc-orders has no internal ones of its own."""

from __future__ import annotations

from django.urls import path

from orders.api import invoices, returns, staff, views

urlpatterns = [
    path("orders", views.OrdersView.as_view()),
    path("orders/shipping-methods", views.ShippingMethodsView.as_view()),
    path("orders/quote", views.QuoteView.as_view()),
    path("orders/admin", staff.StaffOrdersView.as_view()),
    path("orders/admin/<uuid:order_id>", staff.StaffOrderView.as_view()),
    path("orders/returns/<uuid:return_id>/approve", returns.ApproveView.as_view()),
    path("orders/returns/<uuid:return_id>/receive", returns.ReceiveView.as_view()),
    path("orders/returns/<uuid:return_id>/reject", returns.RejectView.as_view()),
    path("orders/<uuid:order_id>", views.OrderView.as_view()),
    path("orders/<uuid:order_id>/payments", views.PaymentsView.as_view()),
    path("orders/<uuid:order_id>/cancel", views.CancelView.as_view()),
    path("orders/<uuid:order_id>/ship", staff.ShipView.as_view()),
    path("orders/<uuid:order_id>/deliver", staff.DeliverView.as_view()),
    path("orders/<uuid:order_id>/refund", staff.RefundView.as_view()),
    path("orders/<uuid:order_id>/invoice", invoices.InvoiceView.as_view()),
    path("orders/<uuid:order_id>/credit-notes/<uuid:refund_id>", invoices.CreditNoteView.as_view()),
    path("orders/<uuid:order_id>/returns", returns.ReturnsView.as_view()),
]
