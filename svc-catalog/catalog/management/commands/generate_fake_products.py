from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from catalog.services.seeding import CHUNK, seed_products


class Command(BaseCommand):
    help = "Makes the first COUNT products of the demo shop with variants and stock; those that exist stay as they are."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("count", type=int)
        parser.add_argument(
            "--no-events",
            action="store_true",
            help="publish nothing; other services then rebuild their read models from the snapshot",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        count: int = options["count"]
        if not 0 <= count <= 10_000_000:
            raise CommandError("COUNT must be from 0 to 10,000,000.")
        started = time.monotonic()

        def progress(done: int) -> None:
            if count > CHUNK and done % (10 * CHUNK) == 0:
                self.stdout.write(f"  {done:,} of {count:,} after {time.monotonic() - started:.0f} s")

        made = seed_products(count, events=not options["no_events"], progress=progress)
        there = count - made
        self.stdout.write(
            f"{made:,} products made, {there:,} were there, in {time.monotonic() - started:.1f} s"
        )
