"""The system check that keeps a service's handlers and its subscriptions the same."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured

from shared_lib.events.handlers import _table, find_mistakes


def check_event_handlers(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    try:
        table = _table()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="events.E001")]
    return [Error(mistake, id="events.E002") for mistake in find_mistakes(settings.SERVICE_NAME, table)]
