from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet

from shared_lib.events.bus import BusUnavailable
from shared_lib.events.dead_queue import DeadQueue, UndecodableMessage
from shared_lib.inbox import dead_letters
from shared_lib.inbox.models import InboxEvent

KEY_CHARACTERS = 16


@dataclass(frozen=True)
class Chosen:
    """What the command is to act on: rows of the inbox by a query, messages of the broker by their keys (None: all)."""

    rows: QuerySet[InboxEvent] | None
    keys: frozenset[str] | None


class Command(BaseCommand):
    help = (
        "Events that were given up: those whose handler failed to the last attempt (named by the event's id) and those that "
        "nobody could decode, in the broker's dead-letter queue (named by 16 hexadecimal digits). List them, show one, replay "
        "or drop them."
    )

    # Not the checks of URLs and views, which this command has no use for: it must run where something is broken.
    requires_system_checks = ("events", "models")

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        listing = actions.add_parser("list", help="the oldest first")
        listing.add_argument("--type", default="", help="only this event type, as order.confirmed.v1")
        listing.add_argument("--limit", type=int, default=100)
        show = actions.add_parser("show", help="one of them whole, with the reason it was given up for")
        show.add_argument("id", type=name_of)
        for name, what in (("replay", "try again"), ("drop", "give up for good")):
            action = actions.add_parser(name, help=what)
            action.add_argument("ids", nargs="*", type=name_of, metavar="ID")
            action.add_argument("--type", default="", help="all of this event type")
            action.add_argument("--undecodable", action="store_true", help="all that nobody could decode")
            action.add_argument("--all", action="store_true", help="all dead letters of both kinds")
        for action in actions.choices.values():
            action.add_argument(
                "--scan",
                type=int,
                default=10_000,
                help="look at so many undecodable messages at most (10000)",
            )

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        try:
            match action:
                case "list":
                    self._list(options["type"], options["limit"], options["scan"])
                case "show" if isinstance(options["id"], UUID):
                    self._show_row(options["id"])
                case "show":
                    self._show_message(options["id"], options["scan"])
                case "replay":
                    self._replay(self._chosen(options), options["scan"])
                case "drop":
                    self._drop(self._chosen(options), options["scan"])
        except BusUnavailable as error:
            raise CommandError(
                f"The broker is away, undecodable messages were not looked at: {error}"
            ) from None

    def _list(self, event_type: str, limit: int, scan: int) -> None:
        rows = dead_letters.dead_letters(event_type=event_type)
        for row in rows[:limit]:
            reason = row.error.strip().splitlines()[-1] if row.error.strip() else ""
            self.stdout.write(
                f"{row.event_id}  {row.received_at:%Y-%m-%d %H:%M:%S}  {row.type}  {row.subject}"
                f"  attempts={row.attempts} deferrals={row.deferrals}  {reason[:120]}"
            )
        self.stdout.write(f"{rows.count()} dead letters")
        if event_type:
            return
        with _queue() as queue:
            waiting = queue.count()
            for message in queue.take(min(limit, scan)):
                moved = f"{message.moved_at:%Y-%m-%d %H:%M:%S}" if message.moved_at else "-" * 19
                self.stdout.write(
                    f"{message.key}  {moved}  {len(message.body)} bytes  {message.reason[:120]}  {_excerpt(message.body, 60)}"
                )
        self.stdout.write(f"{waiting} undecodable messages")

    def _show_row(self, event_id: UUID) -> None:
        row = dead_letters.dead_letters(ids=[event_id]).first()
        if row is None:
            raise CommandError(f"{event_id} is not a dead letter of this service.")
        self.stdout.write(json.dumps(json.loads(row.body), indent=2, ensure_ascii=False))
        self.stdout.write(
            f"attempts {row.attempts}, deferrals {row.deferrals}, received {row.received_at.isoformat()}"
        )
        self.stdout.write(row.error)

    def _show_message(self, key: str, scan: int) -> None:
        with _queue() as queue:
            for message in queue.take(scan):
                if message.key == key:
                    moved = message.moved_at.isoformat() if message.moved_at else "at an unknown time"
                    self.stdout.write(_excerpt(message.body, len(message.body)))
                    self.stdout.write(f"{len(message.body)} bytes, put aside {moved}")
                    self.stdout.write(message.reason)
                    return
        raise CommandError(f"{key} is not among the first {scan} undecodable messages of this service.")

    def _replay(self, chosen: Chosen, scan: int) -> None:
        sent = self._act(chosen.keys, scan, DeadQueue.send_again)
        count = dead_letters.replay(chosen.rows) if chosen.rows is not None else 0
        self.stdout.write(f"{count + sent} to be tried again; the events process takes them within a second")

    def _drop(self, chosen: Chosen, scan: int) -> None:
        dropped = self._act(chosen.keys, scan, DeadQueue.drop)
        count = dead_letters.drop(chosen.rows) if chosen.rows is not None else 0
        self.stdout.write(f"{count + dropped} dropped")

    def _act(
        self, keys: frozenset[str] | None, scan: int, act: Callable[[DeadQueue, UndecodableMessage], None]
    ) -> int:
        """Does `act` to the messages named by `keys` (None: to all). Naming one that is not there changes nothing."""
        if keys is not None and not keys:
            return 0
        with _queue() as queue:
            if keys is None:
                done = 0
                for message in queue.take(scan):
                    act(queue, message)
                    done += 1
                return done
            # Bodies of messages that are not meant are not kept: there may be many.
            meant = [message for message in queue.take(scan) if message.key in keys]
            if missing := keys - {message.key for message in meant}:
                raise CommandError(
                    f"Not among the first {scan} undecodable messages, nothing was changed: {', '.join(sorted(missing))}."
                )
            for message in meant:
                act(queue, message)
            return len(meant)

    def _chosen(self, options: dict[str, Any]) -> Chosen:
        names, event_type = options["ids"], options["type"]
        undecodable, everything = options["undecodable"], options["all"]
        if sum(map(bool, (names, event_type, undecodable, everything))) != 1:
            raise CommandError("Name ids, or --type, or --undecodable, or --all: exactly one of the four.")
        ids = [name for name in names if isinstance(name, UUID)]
        keys = frozenset(name for name in names if isinstance(name, str))
        if undecodable or (names and not ids):
            return Chosen(rows=None, keys=None if undecodable else keys)
        rows = dead_letters.dead_letters(event_type=event_type, ids=ids or None)
        if ids and (missing := set(ids) - set(rows.values_list("event_id", flat=True))):
            raise CommandError(
                f"Not a dead letter of this service, nothing was changed: {', '.join(map(str, missing))}."
            )
        return Chosen(rows=rows, keys=None if everything else keys)


def name_of(text: str) -> UUID | str:
    """The id of an event, or the key of an undecodable message. Raises `ValueError` for anything else."""
    if len(text) == KEY_CHARACTERS and all(character in "0123456789abcdef" for character in text):
        return text
    return UUID(text)


def _queue() -> DeadQueue:
    return DeadQueue(settings.EVENTS_BROKER_URL, settings.SERVICE_NAME)


def _excerpt(body: bytes, most: int) -> str:
    """Text as it is, everything else escaped: safe for a terminal."""
    text = body[:most].decode("utf-8", "backslashreplace")
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
