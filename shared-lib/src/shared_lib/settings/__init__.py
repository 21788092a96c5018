"""The settings that all services share: `base`, with `dev`, `prod` or `test` on it, chosen by ENVIRONMENT.

A service's own settings module calls `service_settings()` once and adds only what its domain needs, read through `env`.
There are two layers and no more.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from shared_lib.settings.environment import env

__all__ = ["env", "service_settings"]

_ENVIRONMENTS = ("dev", "prod", "test")


def service_settings(service: str, *, apps: list[str]) -> dict[str, Any]:
    """All settings of `service` (`svc-orders`), whose own Django apps are `apps`; the first one holds its domain.

    Raises `ImproperlyConfigured` with a sentence that names every variable that is missing or malformed.
    """
    environment = env.str("ENVIRONMENT", "dev")
    if environment not in _ENVIRONMENTS:
        raise ImproperlyConfigured(
            f"ENVIRONMENT is {environment!r}; it must be one of {', '.join(_ENVIRONMENTS)}."
        )
    base = import_module("shared_lib.settings.base").settings(service, apps=apps)
    return import_module(f"shared_lib.settings.{environment}").adjust(base)
