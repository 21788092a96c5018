"""Between the bus and py-amqp's frames: messages serialized in advance, writes put together, reads ahead.

All of it is what the library does for each message by itself, at a multiple of the cost.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import amqp
from amqp.serialization import dumps
from amqp.transport import TCPTransport

from shared_lib.contracts.subscriptions import subscribers
from shared_lib.events import topology
from shared_lib.events.envelope import CONTENT_TYPE

if TYPE_CHECKING:
    from shared_lib.events.bus import Outgoing

PIECE_BYTES = 64 * 1024
# A few messages. The library copies what is left of it with each field it takes, so more would cost more than it saves.
_AHEAD_BYTES = 4096
REPLAY_HEADER = "x-shop-replay"
TRACE_HEADER = "traceparent"
# As long as the text of a UUID, and nowhere else in the properties of a message.
_NO_ID = "\0" * 36


class Cork:
    """Between py-amqp's writer of frames and the socket: what is written in `held()` goes out in pieces of `PIECE_BYTES`.

    The library writes each message to the socket, which wakes the broker each time: a fifth of what sending one costs.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._pieces: bytearray | None = None

    def write(self, frame: bytes | memoryview) -> None:
        if self._pieces is None:
            self._transport.write(frame)
            return
        self._pieces += frame
        if len(self._pieces) >= PIECE_BYTES:
            self._transport.write(bytes(self._pieces))
            self._pieces.clear()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        self._pieces = bytearray()
        try:
            yield
            if self._pieces:
                self._transport.write(bytes(self._pieces))
        finally:
            self._pieces = None


def read_ahead(transport: Any) -> None:
    """Has py-amqp's `transport` take what has arrived from the socket, and keep what it did not ask for yet.

    It asks for header, payload and end of each frame by itself: nine calls of the system for each message.
    """
    if isinstance(transport, TCPTransport):
        receive = transport.sock.recv
        transport._quick_recv = lambda size: receive(max(size, _AHEAD_BYTES))


class _Message:
    """A message as py-amqp's writer of frames asks for one: its body and its properties, serialized already."""

    __slots__ = ("_properties", "body")

    def __init__(self, body: bytes, properties: bytes) -> None:
        self.body = body
        self._properties = properties

    def _serialize_properties(self) -> bytes:
        return self._properties


class Form:
    """What all messages of a type have in common, serialized once: the library spends half of what sending costs on it.

    `arguments` are those of `basic.publish`.
    """

    def __init__(self, service: str, event_type: str, replay_to: str) -> None:
        self._service, self._type = service, event_type
        self._headers: dict[str, Any] = {REPLAY_HEADER: True} if replay_to else {}
        self.arguments: bytes = dumps(
            "Bssbb",
            (
                0,
                topology.DIRECT.name if replay_to else topology.EVENTS.name,
                replay_to or event_type,
                bool(replay_to) or bool(subscribers(event_type)),
                False,
            ),
        )
        self._before, self._after = self._properties(_NO_ID, self._headers).split(_NO_ID.encode())

    def _properties(self, message_id: str, headers: dict[str, Any]) -> bytes:
        message = amqp.Message(
            content_type=CONTENT_TYPE,
            delivery_mode=2,
            message_id=message_id,
            type=self._type,
            app_id=self._service,
            application_headers=headers,
        )
        properties: bytes = message._serialize_properties()
        return properties

    def filled(self, outgoing: Outgoing) -> _Message:
        message_id = str(outgoing.id)
        if outgoing.traceparent:
            headers = {**self._headers, TRACE_HEADER: outgoing.traceparent}
            return _Message(outgoing.body, self._properties(message_id, headers))
        return _Message(outgoing.body, self._before + message_id.encode() + self._after)
