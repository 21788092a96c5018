"""The root URLs of every service."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularJSONAPIView
from rest_framework.permissions import AllowAny

from shared_lib.api import health
from shared_lib.api.problems import handler400, handler403, handler404, handler500

__all__ = ["handler400", "handler403", "handler404", "handler500", "service_urls"]


def service_urls(api: str, *extra: URLPattern | URLResolver) -> list[Any]:
    """`api` names a module with `urlpatterns` (below /api/v1/) and, if it has any, `internal_urlpatterns` (below /internal/v1/)."""
    module = import_module(api)
    schema = SpectacularJSONAPIView.as_view(authentication_classes=[], permission_classes=[AllowAny])
    return [
        path("healthz", health.healthz),
        path("readyz", health.readyz),
        path("metrics", health.metrics),
        path("internal/v1/manifest", health.manifest),
        path("internal/v1/openapi.json", schema),
        path("internal/v1/", include((getattr(module, "internal_urlpatterns", []), "internal"))),
        path("api/v1/", include((module.urlpatterns, "api"))),
        *extra,
    ]
