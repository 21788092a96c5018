"""Production: refuses to start with what only development may have."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured

_MIN_SECRET_LENGTH = 50


def adjust(settings: dict[str, Any]) -> dict[str, Any]:
    """Raises `ImproperlyConfigured` where a value is unsafe in production."""
    if len(settings["SECRET_KEY"]) < _MIN_SECRET_LENGTH:
        raise ImproperlyConfigured(
            f"SECRET_KEY must have at least {_MIN_SECRET_LENGTH} characters in production."
        )
    for name in ("PUBLIC_BASE_URL", "STOREFRONT_URL"):
        if not settings[name].startswith("https://"):
            raise ImproperlyConfigured(f"{name} must start with https:// in production.")
    if settings["FAILPOINTS_DIR"] is not None:
        raise ImproperlyConfigured(
            "FAILPOINTS_DIR must not be set in production: it lets tests kill processes."
        )
    return settings
