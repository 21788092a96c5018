"""What must be right before this service starts."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured

from accounts.keys import key_set


def check_keys(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """The keys of access tokens can be read."""
    try:
        key_set()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="accounts.E001")]
    return []
