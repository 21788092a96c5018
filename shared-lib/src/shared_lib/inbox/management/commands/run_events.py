from __future__ import annotations

import sys
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from shared_lib.events.health import health_port, serve
from shared_lib.events.process import EventsProcess, end
from shared_lib.inbox.consumer import Consumer
from shared_lib.outbox.relay import Relay
from shared_lib.server import spare_collector
from shared_lib.settings import env


class Command(BaseCommand):
    help = (
        "Runs this service's relay and consumer until SIGTERM. With EVENTS_HEALTH_PORT set, serves /healthz, /readyz and "
        "/metrics there (on HOST, by default 127.0.0.1)."
    )
    # Not the checks of URLs and views: this process never loads them, and they are a good part of a web process's memory.
    requires_system_checks = ("events", "models")

    def handle(self, *args: Any, **options: Any) -> None:
        process = EventsProcess([Relay(), Consumer()])
        try:
            port = health_port()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from None
        if port:
            try:
                serve(process, env.str("HOST", "127.0.0.1"), port)
            except OSError as error:
                raise CommandError(f"EVENTS_HEALTH_PORT {port} cannot be used: {error.strerror}.") from None
        spare_collector()
        code = process.run()
        sys.stdout.flush()
        sys.stderr.flush()
        end(code)
