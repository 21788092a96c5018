from django.urls import path

from payments.api import internal, views

urlpatterns = [
    path("payments/methods", views.PaymentMethodsView.as_view()),
    path("payments/<uuid:payment_id>", views.PaymentView.as_view()),
    path("payments/<uuid:payment_id>/confirm", views.PaymentConfirmView.as_view()),
    path("payments/webhooks/<slug:provider>", views.WebhookView.as_view()),
]

internal_urlpatterns = [
    path("payments", internal.PaymentsView.as_view()),
    path("payments/<uuid:payment_id>", internal.PaymentView.as_view()),
    path("payments/<uuid:payment_id>/cancel", internal.PaymentCancelView.as_view()),
    path("payments/<uuid:payment_id>/refunds", internal.PaymentRefundsView.as_view()),
]
