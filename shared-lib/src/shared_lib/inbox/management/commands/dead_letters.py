from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet

from shared_lib.inbox import dead_letters
from shared_lib.inbox.models import InboxEvent


class Command(BaseCommand):
    help = "Events whose handler failed to the last attempt: list them, show one, replay or drop them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        listing = actions.add_parser("list", help="the oldest first")
        listing.add_argument("--type", default="", help="only this event type, as order.confirmed.v1")
        listing.add_argument("--limit", type=int, default=100)
        show = actions.add_parser(
            "show", help="one event with its envelope and the traceback of its last attempt"
        )
        show.add_argument("id", type=UUID)
        for name, what in (("replay", "try again"), ("drop", "give up for good")):
            action = actions.add_parser(name, help=what)
            action.add_argument("ids", nargs="*", type=UUID, metavar="ID")
            action.add_argument("--type", default="", help="all of this event type")
            action.add_argument("--all", action="store_true", help="all dead letters")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        match action:
            case "list":
                self._list(options["type"], options["limit"])
            case "show":
                self._show(options["id"])
            case "replay":
                count = dead_letters.replay(self._chosen(options))
                self.stdout.write(f"{count} to be tried again; the events process takes them within a second")
            case "drop":
                self.stdout.write(f"{dead_letters.drop(self._chosen(options))} dropped")

    def _list(self, event_type: str, limit: int) -> None:
        rows = dead_letters.dead_letters(event_type=event_type)
        for row in rows[:limit]:
            reason = row.error.strip().splitlines()[-1] if row.error.strip() else ""
            self.stdout.write(
                f"{row.event_id}  {row.received_at:%Y-%m-%d %H:%M:%S}  {row.type}  {row.subject}"
                f"  attempts={row.attempts} deferrals={row.deferrals}  {reason[:120]}"
            )
        self.stdout.write(f"{rows.count()} dead letters")

    def _show(self, event_id: UUID) -> None:
        row = dead_letters.dead_letters(ids=[event_id]).first()
        if row is None:
            raise CommandError(f"{event_id} is not a dead letter of this service.")
        self.stdout.write(json.dumps(json.loads(row.body), indent=2, ensure_ascii=False))
        self.stdout.write(
            f"attempts {row.attempts}, deferrals {row.deferrals}, received {row.received_at.isoformat()}"
        )
        self.stdout.write(row.error)

    def _chosen(self, options: dict[str, Any]) -> QuerySet[InboxEvent]:
        ids, event_type, everything = options["ids"], options["type"], options["all"]
        if sum(map(bool, (ids, event_type, everything))) != 1:
            raise CommandError("Name ids, or --type, or --all: exactly one of the three.")
        rows = dead_letters.dead_letters(event_type=event_type, ids=ids or None)
        if ids and (missing := set(ids) - set(rows.values_list("event_id", flat=True))):
            raise CommandError(
                f"Not a dead letter of this service, nothing was changed: {', '.join(map(str, missing))}."
            )
        return rows
