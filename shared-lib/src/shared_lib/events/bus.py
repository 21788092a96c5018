"""The bus on RabbitMQ: publishing in batches with confirms, and receiving in batches.

`Publisher` and `Subscription` each own one connection and belong to one thread. Whatever goes wrong with the broker is
raised as `BusUnavailable`; the caller then closes its end, pauses and opens a new one.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self
from uuid import UUID

import amqp
from amqp import spec
from amqp.exceptions import AMQPError
from amqp.method_framing import frame_writer
from kombu import Connection
from kombu.exceptions import KombuError

from shared_lib.events import topology
from shared_lib.events.envelope import CONTENT_TYPE
from shared_lib.events.frames import REPLAY_HEADER, TRACE_HEADER, Cork, Form, read_ahead
from shared_lib.failpoints import failpoint

HEARTBEAT_SECONDS = 10
CONNECT_SECONDS = 5
CONFIRM_SECONDS = 5.0
CLOSE_SECONDS = 1.0
# One wait for confirmations a batch: 500 carry half as many events again as 100. A crash repeats at most what is on
# its way, two batches of the relay.
BATCH = 500
PREFETCH = 200
# Long enough to read what lies in the socket's buffer.
_NO_WINDOW_SECONDS = 0.0002
# Of a message that nobody could decode: why, and when it was put aside (Unix seconds).
REASON_HEADER = "x-shop-reason"
MOVED_AT_HEADER = "x-shop-moved-at"


class BusUnavailable(ConnectionError):
    """The broker is away, cut the connection, or refused an operation."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One event as it goes out; `traceparent` is the span of its sending, where that is kept."""

    id: UUID
    type: str
    body: bytes
    traceparent: str = ""


@dataclass(slots=True)
class PublishResult:
    """What became of a batch: by id, each event is in exactly one of the three."""

    confirmed: list[UUID] = field(default_factory=list)
    unroutable: list[UUID] = field(default_factory=list)
    refused: list[UUID] = field(default_factory=list)


@dataclass(slots=True)
class Flight:
    """A batch that was sent: `waiting` events of it have no word of the broker yet, `result` has the others."""

    waiting: int = 0
    result: PublishResult = field(default_factory=PublishResult)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message.

    `redeliveries` says how often it was handed out before without an acknowledgement, `replay` that it was published
    again on purpose, for this queue alone.
    """

    tag: int
    body: bytes
    redeliveries: int
    replay: bool = False
    traceparent: str = ""


class EventPublisher(Protocol):
    def send(self, batch: Sequence[Outgoing]) -> Flight: ...
    def confirm(self, flight: Flight) -> PublishResult: ...
    def tick(self) -> None: ...
    def declare(self) -> None: ...
    def close(self) -> None: ...


class EventSubscription(Protocol):
    def receive(self, *, most: int, wait: float, window: float) -> list[Delivery]: ...
    def ack(self, delivery: Delivery) -> None: ...
    def reject(self, delivery: Delivery, reason: str = "") -> None: ...
    def waiting(self) -> int: ...
    def waiting_dead(self) -> int: ...
    def tick(self) -> None: ...
    def close(self) -> None: ...


@contextlib.contextmanager
def broker_errors() -> Iterator[None]:
    try:
        yield
    except BusUnavailable:
        raise
    except (AMQPError, KombuError, OSError) as error:
        raise BusUnavailable(f"{type(error).__name__}: {error}") from error
    except AttributeError as error:
        # py-amqp drops its transport when a connection breaks, then trips over it.
        raise BusUnavailable(f"the connection was lost ({error})") from error


class Link:
    """One connection with one channel."""

    def __init__(self, url: str, service: str, role: str) -> None:
        self.service = service
        self._connection = Connection(
            url,
            heartbeat=HEARTBEAT_SECONDS,
            connect_timeout=CONNECT_SECONDS,
            transport_options={
                "write_timeout": CONFIRM_SECONDS,
                "frame_writer": self._frame_writer,
                "client_properties": {"connection_name": f"{service} {role}"},
            },
        )
        self._ticked = 0.0
        self._sender: Any = None
        try:
            with broker_errors():
                self._connection.connect()
                topology.declare(self._connection, service)
                self._amqp: amqp.Connection = self._connection.connection
                read_ahead(self._amqp.transport)
                self._channel: Any = self._connection.channel()
        except BaseException:
            self.close()
            raise

    def _frame_writer(self, connection: amqp.Connection, transport: Any) -> Any:
        self._cork = Cork(transport)
        return frame_writer(connection, self._cork)

    def declare(self) -> None:
        with broker_errors():
            topology.declare(self._connection, self.service)

    def drain(self, timeout: float) -> bool:
        """Handles what the broker has sent; False when nothing came within `timeout` seconds."""
        try:
            self._amqp.drain_events(timeout=timeout)
        except TimeoutError:
            return False
        return True

    def deliver(self, queue: str, body: bytes, headers: dict[str, Any]) -> None:
        """Publishes `body` to `queue` alone and waits for the broker's word. Raises `BusUnavailable` without it."""
        with broker_errors():
            if self._sender is None:
                self._sender = self._connection.channel()
            message = amqp.Message(
                body,
                content_type=CONTENT_TYPE,
                delivery_mode=2,
                app_id=self.service,
                application_headers=headers,
            )
            # A channel without a handler of returns raises for a message that no queue takes.
            self._sender.basic_publish_confirm(
                message,
                exchange=topology.DIRECT.name,
                routing_key=queue,
                mandatory=True,
                confirm_timeout=CONFIRM_SECONDS,
            )

    def tick(self) -> None:
        """Keeps the connection alive; to be called about once a second. Raises when the other side has gone silent."""
        now = time.monotonic()
        if now - self._ticked < 1.0:
            return
        self._ticked = now
        with broker_errors():
            self._on_tick()
            self._amqp.heartbeat_tick()

    def _on_tick(self) -> None:
        """What else is to be done about once a second."""

    def close(self) -> None:
        """Tells the broker, without waiting long for a word from one that has fallen silent."""
        with contextlib.suppress(Exception):
            self._amqp.transport.sock.settimeout(CLOSE_SECONDS)
        with contextlib.suppress(Exception):
            self._connection.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Publisher(Link):
    """Publishes with confirms. An event that some service consumes is sent `mandatory`: no queue for it is an error."""

    def __init__(self, url: str, service: str) -> None:
        super().__init__(url, service, "relay")
        with broker_errors():
            self._channel.confirm_select()
        self._channel.events["basic_ack"].add(self._on_ack)
        self._channel.events["basic_nack"].add(self._on_nack)
        self._channel.events["basic_return"].add(self._on_return)
        self._forms: dict[tuple[str, str], Form] = {}
        self._last_tag = 0
        # By delivery tag, which grows: whose event it is. Several flights may be among them.
        self._unconfirmed: dict[int, tuple[UUID, Flight]] = {}
        self._returned: set[str] = set()

    def publish(self, batch: Sequence[Outgoing], *, replay_to: str = "") -> PublishResult:
        """`send()` and `confirm()`."""
        return self.confirm(self.send(batch, replay_to=replay_to))

    def send(self, batch: Sequence[Outgoing], *, replay_to: str = "") -> Flight:
        """Sends up to `BATCH` events; what becomes of them, `confirm()` says. Others may be sent before.

        `replay_to` names the one queue that gets them, marked as a replay. An event is in one flight at a time. Raises
        `BusUnavailable`; the broker may then have taken some of them, as well as of every other flight.
        """
        flight = Flight()
        with broker_errors(), self._cork.held():
            for outgoing in batch:
                self._send(outgoing, replay_to, flight)
        return flight

    def confirm(self, flight: Flight) -> PublishResult:
        """Waits for the broker's word on each event of `flight`. Raises `BusUnavailable` when it does not come."""
        deadline = time.monotonic() + CONFIRM_SECONDS
        with broker_errors():
            while flight.waiting:
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self.drain(remaining):
                    raise BusUnavailable(
                        f"no confirmation within {CONFIRM_SECONDS:.0f} s ({flight.waiting} events)"
                    )
        return flight.result

    def _send(self, outgoing: Outgoing, replay_to: str, flight: Flight) -> None:
        form = self._form_of(outgoing.type, replay_to)
        self._last_tag += 1
        self._unconfirmed[self._last_tag] = (outgoing.id, flight)
        flight.waiting += 1
        self._amqp.frame_writer(
            1, self._channel.channel_id, spec.Basic.Publish, form.arguments, form.filled(outgoing)
        )

    def _form_of(self, event_type: str, replay_to: str) -> Form:
        form = self._forms.get((event_type, replay_to))
        if form is None:
            form = self._forms[event_type, replay_to] = Form(self.service, event_type, replay_to)
        return form

    def _settle(self, tag: int, multiple: bool, *, taken: bool) -> None:
        for each in self._tags_to(tag) if multiple else [tag]:
            event_id, flight = self._unconfirmed.pop(each, (None, None))
            if event_id is None or flight is None:
                continue
            flight.waiting -= 1
            if not taken:
                flight.result.refused.append(event_id)
            elif self._returned and str(event_id) in self._returned:
                self._returned.discard(str(event_id))
                flight.result.unroutable.append(event_id)
            else:
                flight.result.confirmed.append(event_id)

    def _tags_to(self, tag: int) -> list[int]:
        return list(itertools.takewhile(lambda each: each <= tag, self._unconfirmed))

    def _on_ack(self, tag: int, multiple: bool) -> None:
        self._settle(tag, multiple, taken=True)

    def _on_nack(self, tag: int, multiple: bool) -> None:
        self._settle(tag, multiple, taken=False)

    def _on_return(self, error: Any, exchange: str, routing_key: str, message: Any) -> None:
        # The broker sends the return before the ack of the same message.
        self._returned.add(message.properties.get("message_id", ""))

    def _on_tick(self) -> None:
        # Nobody else reads between two batches: what the broker says meanwhile (heartbeats, that it blocks) is read here.
        while self.drain(0.001):
            pass


class Subscription(Link):
    """Receives from the queue of `service`. What is not acknowledged comes back when this is closed."""

    def __init__(self, url: str, service: str) -> None:
        super().__init__(url, service, "consumer")
        self._arrived: deque[Delivery] = deque()
        self._cancelled = False
        with broker_errors():
            self._channel.basic_qos(prefetch_size=0, prefetch_count=PREFETCH, a_global=False)
            self._channel.basic_consume(
                topology.queue_name(service), callback=self._on_message, on_cancel=self._on_cancel
            )

    def _on_message(self, message: Any) -> None:
        headers = message.headers or {}
        body = message.body
        self._arrived.append(
            Delivery(
                tag=message.delivery_tag,
                body=body if isinstance(body, bytes) else body.encode(),
                redeliveries=int(headers.get("x-delivery-count", 0) or 0),
                replay=headers.get(REPLAY_HEADER) is True,
                traceparent=str(headers.get(TRACE_HEADER, "")),
            )
        )

    def _on_cancel(self, _tag: str) -> None:
        self._cancelled = True

    def receive(self, *, most: int, wait: float, window: float) -> list[Delivery]:
        """Up to `most` messages: waits `wait` seconds for the first, then `window` seconds for more.

        A window of 0 takes only what has arrived already.
        """
        with broker_errors():
            if not self._arrived:
                self.drain(wait)
            deadline = time.monotonic() + window
            # The window bounds the waiting alone: what has arrived is taken however long it takes to read.
            while 0 < len(self._arrived) < most:
                if not self.drain(max(deadline - time.monotonic(), _NO_WINDOW_SECONDS)):
                    break
        self.tick()
        if self._cancelled:
            raise BusUnavailable(f"the broker ended the consumer of {topology.queue_name(self.service)}")
        return [self._arrived.popleft() for _ in range(min(most, len(self._arrived)))]

    def ack(self, delivery: Delivery) -> None:
        """Acknowledges `delivery` and everything received before it."""
        with broker_errors():
            self._channel.basic_ack(delivery.tag, multiple=True)

    def reject(self, delivery: Delivery, reason: str = "") -> None:
        """Moves one message to the dead-letter queue: it leaves this one only after the other has confirmed it."""
        name = topology.dead_queue_name(self.service)
        with broker_errors():
            headers = {REASON_HEADER: reason[:500], MOVED_AT_HEADER: int(time.time())}
            self.deliver(name, delivery.body, headers)
            failpoint("inbox.copied_aside")
            self._channel.basic_ack(delivery.tag)

    def waiting(self) -> int:
        """How many messages wait in the queue of the service, without those that some consumer has."""
        return self._waiting(topology.queue_name(self.service))

    def waiting_dead(self) -> int:
        """How many messages wait in the dead-letter queue of the service."""
        return self._waiting(topology.dead_queue_name(self.service))

    def _waiting(self, queue: str) -> int:
        with broker_errors():
            return int(self._channel.queue_declare(queue, passive=True).message_count)
