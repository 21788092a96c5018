from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from shared_lib.events.bus import BusUnavailable
from shared_lib.outbox.replay import CannotReplay, events_for, replay


class Command(BaseCommand):
    help = (
        "Publishes events of this service again, for one consuming service. Its handlers run only where they are marked "
        "replayable; all others ignore a replay."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("consumer", help="the consuming service, as svc-cart")
        parser.add_argument("--since", required=True, help="from this time on, as 2026-11-22T10:00:00Z")
        parser.add_argument("--until", help="before this time")
        parser.add_argument("--type", default="", help="only this event type, as product.updated.v1")
        parser.add_argument("--dry-run", action="store_true", help="only say how many there are")

    def handle(self, *args: Any, consumer: str, **options: Any) -> None:
        since, until = _moment(options["since"]), options["until"] and _moment(options["until"])
        try:
            rows = events_for(consumer, since=since, until=until, event_type=options["type"])
        except CannotReplay as error:
            raise CommandError(str(error)) from None
        total = rows.count()
        if options["dry_run"]:
            self.stdout.write(f"{total} events")
            return
        try:
            for sent in replay(consumer, rows):
                self.stdout.write(f"{sent} of {total}")
        except BusUnavailable as error:
            raise CommandError(f"{error}. Nothing is lost; run it again.") from None
        self.stdout.write(f"replayed to {consumer}")


def _moment(text: str) -> datetime:
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f"{text!r} is not a time as 2026-11-22T10:00:00Z.")
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
