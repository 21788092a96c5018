from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register


class OutboxConfig(AppConfig):
    name = "shared_lib.outbox"
    label = "outbox"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from shared_lib.events.checks import check_event_handlers

        register(check_event_handlers, "events")
