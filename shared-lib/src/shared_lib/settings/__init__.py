"""The settings that all services share: `base`, with `dev`, `prod` or `test` on it, chosen by ENVIRONMENT.

A service's own settings module calls `service_settings()` once and adds only what its domain needs, read through `env`.
There are two layers and no more.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from environs import validate

from shared_lib.settings.environment import env

__all__ = ["env", "service_settings"]

_ENVIRONMENTS = ("dev", "prod", "test")


def service_settings(service: str, *, apps: list[str]) -> dict[str, Any]:
    """All settings of `service` (`svc-orders`), whose own Django apps are `apps`; the first one holds its domain.

    Raises `ImproperlyConfigured` with a sentence that names the first variable that is missing or malformed.
    """
    environment = env.str(
        "ENVIRONMENT",
        "dev",
        validate=validate.OneOf(_ENVIRONMENTS),
        help="which settings lie on the common ones; prod refuses what is unsafe",
    )
    base = import_module("shared_lib.settings.base").settings(service, apps=apps)
    return import_module(f"shared_lib.settings.{environment}").adjust(base)
