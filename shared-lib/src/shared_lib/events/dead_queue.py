"""The messages that nobody could decode, in `SERVICE.events.dead`: to be looked at, sent again or dropped by a person.

They are taken without an acknowledgement, so whatever is not explicitly sent again or dropped is back in the queue as soon as
the connection closes, however it closes. A message is acknowledged only after the broker has confirmed its copy: a crash in
between leaves it twice, never lost.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared_lib.events import topology
from shared_lib.events.bus import MOVED_AT_HEADER, REASON_HEADER, Link, broker_errors
from shared_lib.failpoints import failpoint

ROLE = "dead letters"


@dataclass(frozen=True, slots=True)
class UndecodableMessage:
    """`key` names the bytes (two equal messages have one key), `moved_at` is None where the broker moved it by itself."""

    tag: int
    key: str
    body: bytes
    reason: str
    moved_at: datetime | None


class DeadQueue(Link):
    """The dead-letter queue of `service`. One thread; raises `BusUnavailable`."""

    def __init__(self, url: str, service: str) -> None:
        super().__init__(url, service, ROLE)
        self._name = topology.dead_queue_name(service)

    def count(self) -> int:
        """Messages that wait and are not being looked at by somebody else."""
        with broker_errors():
            return int(self._channel.queue_declare(self._name, passive=True).message_count)

    def take(self, most: int) -> Iterator[UndecodableMessage]:
        """Up to `most` of those that wait now, oldest first. They stay taken until this is closed."""
        for _ in range(min(most, self.count())):
            with broker_errors():
                message = self._channel.basic_get(self._name, no_ack=False)
            if message is None:
                return
            yield _read(message)

    def send_again(self, message: UndecodableMessage) -> None:
        """Gives it to the consumer once more, which may be newer by now."""
        self.deliver(topology.queue_name(self.service), message.body, {})
        failpoint("dead_letters.copied")
        self._ack(message)

    def drop(self, message: UndecodableMessage) -> None:
        self._ack(message)

    def close(self) -> None:
        """Puts back at once what was only looked at; the broker would, as soon as it noticed."""
        with contextlib.suppress(Exception):
            self._channel.basic_nack(0, multiple=True, requeue=True)
        super().close()

    def _ack(self, message: UndecodableMessage) -> None:
        with broker_errors():
            self._channel.basic_ack(message.tag)


def _read(message: Any) -> UndecodableMessage:
    headers = message.headers or {}
    body = (
        message.body if isinstance(message.body, bytes) else message.body.encode("utf-8", "surrogateescape")
    )
    moved = headers.get(MOVED_AT_HEADER)
    return UndecodableMessage(
        tag=message.delivery_tag,
        key=key_of(body),
        body=body,
        reason=str(headers.get(REASON_HEADER, "")),
        moved_at=datetime.fromtimestamp(moved, UTC) if isinstance(moved, int) else None,
    )


def key_of(body: bytes) -> str:
    """16 hexadecimal digits: no UUID, so that a command can tell the two kinds of dead letters apart."""
    return hashlib.sha256(body).hexdigest()[:16]
