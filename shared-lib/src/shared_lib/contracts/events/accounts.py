"""Events that svc-accounts publishes."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from shared_lib.contracts.events.base import AggregateEvent, Event, UserEvent
from shared_lib.contracts.moment import Moment

PRODUCER = "svc-accounts"


class UserRegistered(AggregateEvent, frozen=True, kw_only=True, omit_defaults=True):
    event_type: ClassVar[str] = "user.registered.v1"
    producer: ClassVar[str] = PRODUCER
    user_id: UUID
    language: str


class UserAddressInUse(UserEvent, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody tried to register an address that already has an account; `user_id` is its owner."""

    event_type: ClassVar[str] = "user.address_in_use.v1"
    producer: ClassVar[str] = PRODUCER


class UserVerificationRequested(UserEvent, frozen=True, kw_only=True, omit_defaults=True):
    event_type: ClassVar[str] = "user.verification_requested.v1"
    producer: ClassVar[str] = PRODUCER


class UserPasswordResetRequested(UserEvent, frozen=True, kw_only=True, omit_defaults=True):
    event_type: ClassVar[str] = "user.password_reset_requested.v1"
    producer: ClassVar[str] = PRODUCER


class UserUpdated(AggregateEvent, frozen=True, kw_only=True, omit_defaults=True):
    event_type: ClassVar[str] = "user.updated.v1"
    producer: ClassVar[str] = PRODUCER
    user_id: UUID
    language: str


class UserDeactivated(AggregateEvent, frozen=True, kw_only=True, omit_defaults=True):
    event_type: ClassVar[str] = "user.deactivated.v1"
    producer: ClassVar[str] = PRODUCER
    user_id: UUID


class UserErased(AggregateEvent, frozen=True, kw_only=True, omit_defaults=True):
    event_type: ClassVar[str] = "user.erased.v1"
    producer: ClassVar[str] = PRODUCER
    user_id: UUID


class SessionRevoked(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens that must stop working: those of `session_id`, or those of the user issued before `issued_before`.

    Exactly one of the two is set. After `expires_at` every such token has expired by itself.
    """

    event_type: ClassVar[str] = "session.revoked.v1"
    producer: ClassVar[str] = PRODUCER
    user_id: UUID
    expires_at: Moment
    session_id: UUID | None = None
    issued_before: Moment | None = None
