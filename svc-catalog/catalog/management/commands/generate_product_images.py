from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from catalog.services.images import draw_missing_images

_TELL_EVERY = 1000


class Command(BaseCommand):
    help = "Draws pictures until every published product without pictures of its own has COUNT, each with a thumbnail."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("count", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        count: int = options["count"]
        if not 1 <= count <= 20:
            raise CommandError("COUNT must be from 1 to 20.")
        started = time.monotonic()

        told = 0

        def progress(drawn: int) -> None:
            nonlocal told
            if drawn - told >= _TELL_EVERY:
                told = drawn
                self.stdout.write(f"  {drawn:,} pictures after {time.monotonic() - started:.0f} s")

        drawn = draw_missing_images(count, progress=progress)
        self.stdout.write(f"{drawn:,} pictures drawn in {time.monotonic() - started:.1f} s")
