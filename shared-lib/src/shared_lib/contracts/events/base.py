"""The base of all event contracts and the registry made from them."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

import msgspec

SERVICES = ("svc-accounts", "svc-catalog", "svc-cart", "svc-orders", "svc-payments", "svc-notifications")

CONTRACTS: dict[str, type[Event]] = {}


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The `data` of one CloudEvent.

    A concrete contract sets `event_type` (also the routing key, with its version: `order.confirmed.v1`) and `producer`
    (the only service that may publish it); defining it registers it. Unknown fields are ignored on decoding, so that a
    producer may add optional fields first.
    """

    event_type: ClassVar[str] = ""
    producer: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        event_type = cls.__dict__.get("event_type", "")
        if not event_type:
            return
        if cls.producer not in SERVICES:
            raise TypeError(f"{cls.__name__}: producer {cls.producer!r} is not a service")
        if event_type in CONTRACTS:
            raise TypeError(f"{event_type} is defined twice")
        CONTRACTS[event_type] = cls


class AggregateEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An event of an aggregate that changes over time: `version` grows by one with each change."""

    version: int


class UserEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    user_id: UUID
