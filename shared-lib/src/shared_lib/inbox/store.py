"""The statements of the inbox: each changes many rows in one round trip."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import connection

from shared_lib.events.envelope import CloudEvent
from shared_lib.inbox.models import Status

_ERROR_CHARACTERS = 20_000

# Keys go in ascending, so that two consumers that hold the same messages wait for each other instead of deadlocking. The
# limit is set in the same round trip: `limited` is read before the first row is inserted, so that it holds for the insert too.
_CLAIM = """
    WITH limited AS MATERIALIZED (SELECT set_config('lock_timeout', %b, true))
    INSERT INTO inbox_event
        (event_id, type, subject, status, received_at, settled_at, attempts, deferrals, error, body)
    SELECT made.*, 'processed', clock_timestamp(), clock_timestamp(), 0, 0, '', ''
    FROM limited, unnest(%b::uuid[], %b::text[], %b::text[]) AS made
    ON CONFLICT (event_id) DO NOTHING
    RETURNING event_id
"""
_UNCLAIM = "DELETE FROM inbox_event WHERE event_id = ANY(%s)"
_KEEP = """
    INSERT INTO inbox_event
        (event_id, type, subject, status, received_at, settled_at, due_at, attempts, deferrals, error, body)
    VALUES (%s, %s, %s, %s, clock_timestamp(), NULL, clock_timestamp() + make_interval(secs => %s::float8), %s, %s, %s, %s)
    ON CONFLICT (event_id) DO UPDATE SET
        status = excluded.status, settled_at = NULL, due_at = excluded.due_at, attempts = excluded.attempts,
        deferrals = excluded.deferrals, error = excluded.error, body = excluded.body
"""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A decoded message.

    `redeliveries`: how often the broker handed it out before in vain. `replay`: it takes effect even if it did before.
    `sent_by`: the span of the relay that sent it, where that is kept.
    """

    envelope: CloudEvent
    body: str
    redeliveries: int = 0
    replay: bool = False
    sent_by: str = ""

    @property
    def id(self) -> UUID:
        return self.envelope.id

    @property
    def traceparent(self) -> str:
        """What caused it, as exactly as is known."""
        published = self.envelope.traceparent
        return self.sent_by or (published if isinstance(published, str) else "")

    @property
    def type(self) -> str:
        return self.envelope.type


def claim(messages: Sequence[Incoming], *, lock_timeout: str) -> set[UUID]:
    """Writes the rows of `messages` as processed; returns the ids that were new. The caller runs the effects and commits.

    From here on its transaction waits no longer than `lock_timeout` for any lock.
    """
    ordered = sorted(messages, key=lambda message: message.id.int)
    values = (
        lock_timeout,
        [message.id for message in ordered],
        [message.type for message in ordered],
        [message.envelope.subject for message in ordered],
    )
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, values)
        return {row[0] for row in cursor.fetchall()}


def unclaim(ids: Sequence[UUID]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_UNCLAIM, [list(ids)])


def keep(
    message: Incoming,
    *,
    status: Status,
    pause: timedelta | None,
    attempts: int = 0,
    deferrals: int = 0,
    error: str,
) -> None:
    """Keeps a message that took no effect, with its body, to be tried again after `pause` (None: not by itself)."""
    with connection.cursor() as cursor:
        cursor.execute(
            _KEEP,
            (
                message.id,
                message.type,
                message.envelope.subject,
                status.value,
                None if pause is None else pause.total_seconds(),
                attempts,
                deferrals,
                error,
                message.body,
            ),
        )


def describe(error: BaseException) -> str:
    """The traceback as text that PostgreSQL can store; of a long one the end, which says most."""
    text = "".join(traceback.format_exception(error)).replace("\x00", "\\x00")
    return text.encode("utf-8", "backslashreplace").decode()[-_ERROR_CHARACTERS:]
