from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings


class ObservabilityConfig(AppConfig):
    name = "shared_lib.observability"
    label = "observability"

    def ready(self) -> None:
        from shared_lib.observability import expose, pool

        expose.before_scrape(pool.measure)
        if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
            from shared_lib.observability import tracing

            tracing.start()
