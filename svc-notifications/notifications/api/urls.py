"""Paths below /api/v1/."""

from __future__ import annotations

from django.urls import path

from notifications.api import views

urlpatterns = [
    path("notifications", views.InboxView.as_view()),
    path("notifications/<uuid:notification_id>/read", views.ReadView.as_view()),
    path("notifications/read-all", views.ReadAllView.as_view()),
]
