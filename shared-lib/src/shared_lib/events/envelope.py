"""CloudEvents 1.0 in structured JSON mode: what one event looks like on the wire and in the outbox."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from shared_lib.contracts.events import CONTRACTS, Event
from shared_lib.ids import uuid7

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
MAX_BYTES = 256 * 1024

_Source = Annotated[str, msgspec.Meta(pattern=r"^/[a-z][a-z0-9-]{0,99}$")]
_Type = Annotated[
    str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+\.v[1-9][0-9]*$", max_length=100)
]
_Subject = Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f]+$", min_length=1, max_length=200)]


class Undecodable(ValueError):
    """These bytes are not a CloudEvents envelope: no handler of any version could make sense of them."""


class InvalidEvent(ValueError):
    """The event does not fit its contract, or its envelope would not be valid."""


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One envelope. `data` is kept as it came, so that an event whose data does not fit can be stored and read."""

    specversion: Literal["1.0"]
    id: UUID
    source: _Source
    type: _Type
    subject: _Subject
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    data: msgspec.Raw
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str | msgspec.UnsetType = msgspec.UNSET
    traceparent: str | msgspec.UnsetType = msgspec.UNSET
    requestid: str | msgspec.UnsetType = msgspec.UNSET

    @property
    def cause(self) -> str:
        """The id of the request that caused the event; of one that came from no request, its own."""
        return self.requestid if isinstance(self.requestid, str) else str(self.id)

    def event(self) -> Event:
        """The typed event. Raises `InvalidEvent` when its data does not fit the contract or there is none."""
        decoder = _decoder(self.type)
        try:
            return decoder.decode(self.data)
        except msgspec.MsgspecError as error:
            raise InvalidEvent(
                f"the data of {self.type} {self.id} does not fit its contract: {error}"
            ) from None


_envelopes = msgspec.json.Decoder(CloudEvent)
_encoder = msgspec.json.Encoder()
_decoders: dict[str, msgspec.json.Decoder[Any]] = {}


def _decoder(event_type: str) -> msgspec.json.Decoder[Any]:
    decoder = _decoders.get(event_type)
    if decoder is None:
        contract = CONTRACTS.get(event_type)
        if contract is None:
            raise InvalidEvent(f"there is no contract for {event_type}")
        decoder = _decoders[event_type] = msgspec.json.Decoder(contract)
    return decoder


def wrap(
    event: Event, *, subject: str, traceparent: str | None = None, request_id: str | None = None
) -> CloudEvent:
    """`event` in a new envelope with a new id. Raises `InvalidEvent` when it would be refused by its consumers."""
    if CONTRACTS.get(event.event_type) is not type(event):
        raise InvalidEvent(f"{type(event).__name__} is not a contract of shared_lib.contracts.events")
    envelope = CloudEvent(
        specversion="1.0",
        id=uuid7(),
        source=f"/{event.producer}",
        type=event.event_type,
        subject=subject,
        time=datetime.now(UTC),
        data=msgspec.Raw(_encoder.encode(event)),
        dataschema=f"urn:shop:events:{event.event_type}",
        traceparent=traceparent or msgspec.UNSET,
        requestid=request_id or msgspec.UNSET,
    )
    # Structs are not checked when they are made: what the consumers would refuse must be refused here.
    envelope.event()
    return envelope


def encode(envelope: CloudEvent) -> bytes:
    """The JSON of an envelope. Raises `InvalidEvent` when it is too large or would not be decodable."""
    body = _encoder.encode(envelope)
    if len(body) > MAX_BYTES:
        raise InvalidEvent(f"{envelope.type} has {len(body)} bytes; at most {MAX_BYTES} may be published")
    try:
        decode(body)
    except Undecodable as error:
        raise InvalidEvent(str(error)) from None
    return body


def decode(body: bytes | bytearray | memoryview | str) -> CloudEvent:
    """The envelope in `body`. Raises `Undecodable`; unknown attributes are ignored."""
    try:
        text = body if isinstance(body, str) else str(body, "utf-8")
        if "\x00" in text:
            raise Undecodable("not a CloudEvents envelope: it contains a NUL")
        return _envelopes.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Undecodable(f"not a CloudEvents envelope: {error}") from None
