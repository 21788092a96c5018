"""`manage.py rebuild products`: reads a read model again from its producer."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from cart import services
from shared_lib.exceptions import DomainError

READ_MODELS = {"products": services.rebuild_products}


class Command(BaseCommand):
    help = "Reads a read model again from the snapshot pages of the service that owns the data."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("read_model", choices=sorted(READ_MODELS))

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["read_model"]
        try:
            count = READ_MODELS[name]()
        except DomainError as error:
            raise CommandError(
                f"{name} could not be read: {error}. What was read before is kept; run it again."
            ) from error
        self.stdout.write(f"{name}: {count} read.")
