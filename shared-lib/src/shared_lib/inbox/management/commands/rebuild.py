from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from shared_lib.exceptions import DomainError
from shared_lib.inbox.read_models import load_read_models


class Command(BaseCommand):
    help = "Reads a read model again from the snapshot pages of the service that owns the data."
    requires_system_checks = ("events", "models")

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("read_model", nargs="?", help="its name; without one those that there are")

    def handle(self, *args: Any, **options: Any) -> None:
        models, name = load_read_models(), options["read_model"]
        known = ", ".join(sorted(models)) or "none"
        if name is None:
            self.stdout.write(f"read models of {settings.SERVICE_NAME}: {known}")
            return
        if name not in models:
            raise CommandError(f"{settings.SERVICE_NAME} has no read model {name}. It has: {known}.")
        try:
            count = models[name]()
        except DomainError as error:
            raise CommandError(
                f"{name} could not be read: {error}. What was read before is kept; run it again."
            ) from error
        self.stdout.write(f"{name}: {count} read.")
