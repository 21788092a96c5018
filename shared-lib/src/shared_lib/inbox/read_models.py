"""Read models: what a service keeps of another's data. A service names them beside its handlers:

    READ_MODELS: ReadModels = {"products": services.rebuild_products}     # in <app>/event_handlers.py

Each function reads all of it again from the snapshot pages of the service that owns the data, while events go on, and says how
many it read. It may be run at any time and again after a failure: what is newer than the snapshot stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

ReadModels = dict[str, Callable[[], int]]


def load_read_models() -> Mapping[str, Callable[[], int]]:
    """Those of this service by name; empty when it has none. Raises `ImproperlyConfigured`."""
    if not settings.EVENT_HANDLERS:
        return {}
    module = import_module(settings.EVENT_HANDLERS.rpartition(".")[0])
    found = getattr(module, "READ_MODELS", {})
    if not isinstance(found, dict) or not all(callable(rebuild) for rebuild in found.values()):
        raise ImproperlyConfigured(f"{module.__name__}.READ_MODELS must be a dict of name to function.")
    return found
