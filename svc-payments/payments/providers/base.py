"""What svc-payments needs of a payment provider.

A provider holds one intent for each payment: created once, confirmed with one payment method after the other until one
pays, canceled for good before that. All calls may be repeated: the idempotency key names the operation, not the call.
None of them is made while a database transaction is open.

    ProviderError
      ProviderUnavailable   it was certainly not asked, or certainly did nothing
      OutcomeUnknown        it may or may not have done what was asked: ask again later
      ProviderRefused       it refused the request for good, with a `code`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, Literal, Protocol, TypeVar
from uuid import UUID

import msgspec

from shared_lib.contracts.internal.payments import PaymentStatus
from shared_lib.money import Money


class ProviderError(Exception):
    pass


class ProviderUnavailable(ProviderError):
    pass


class OutcomeUnknown(ProviderError):
    pass


class ProviderRefused(ProviderError):
    """`param` is the argument that was refused, if it was one: `payment_method`, `return_url`."""

    def __init__(self, code: str, message: str, *, param: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.param = param


class BadWebhook(Exception):
    """Not a webhook of this provider: the signature, the time stamp or the body is wrong. The text may be shown."""


class UnreadableEvent(Exception):
    """A genuine webhook about something that payments acts on, of which it makes no sense."""


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as the provider sees it now. `failure_code` tells why the last confirmation did not pay.

    `payment_id` is ours, given when the intent was made; None when somebody else made it.
    """

    reference: str
    status: PaymentStatus
    amount: Money
    redirect_url: str = ""
    failure_code: str = ""
    payment_id: UUID | None = None


class ProviderRefund(msgspec.Struct, frozen=True, kw_only=True):
    """`refund_id` is ours, given when the refund was asked for; None when somebody else asked for it."""

    reference: str
    payment_reference: str
    status: Literal["pending", "succeeded", "failed"]
    amount: Money
    refund_id: UUID | None = None
    failure_code: str = ""


class ProviderDispute(msgspec.Struct, frozen=True, kw_only=True):
    """The buyer's bank took money back. `open` until the bank decides; `won` gives it to us again."""

    reference: str
    payment_reference: str
    status: Literal["open", "won", "lost"]
    amount: Money
    reason: str = ""


Told = Intent | ProviderRefund | ProviderDispute
_T_co = TypeVar("_T_co", covariant=True)


class Page(msgspec.Struct, Generic[_T_co], frozen=True, kw_only=True):
    """Some of a list, the latest first. `cursor` asks for the ones before them; empty when there are none."""

    items: Sequence[_T_co]
    cursor: str = ""


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A genuine webhook. `payload` is what `read_event` understands later."""

    event_id: str
    type: str
    payload: dict[str, Any]


def uuid_or_none(text: str | None) -> UUID | None:
    """An id of ours as it came back from a provider; None for anything else."""
    try:
        return UUID(text)
    except (ValueError, TypeError, AttributeError):
        return None


class Provider(Protocol):
    name: str

    def create_intent(self, *, payment_id: UUID, order_id: UUID, amount: Money) -> Intent:
        """The intent of this payment; called again, the same one."""
        ...

    def confirm_intent(
        self, reference: str, *, attempt_id: UUID, payment_method: str, return_url: str | None
    ) -> Intent:
        """Tries to charge. A decline is an intent with `failure_code`; a final intent is returned as it is.

        Called again with the same `attempt_id`: the same answer, never a second charge.
        """
        ...

    def get_intent(self, reference: str) -> Intent: ...

    def cancel_intent(self, reference: str) -> Intent:
        """Cancels it unless money moves or has moved, and returns what it is after that. `canceled` is for good."""
        ...

    def refund(self, reference: str, *, refund_id: UUID, amount: Money, reason: str) -> ProviderRefund:
        """Asks money back; called again with the same `refund_id`, the same refund."""
        ...

    def get_refund(self, reference: str) -> ProviderRefund: ...

    def list_intents(self, *, since: datetime, cursor: str = "") -> Page[Intent]:
        """All intents made at `since` or later, whoever made them, a page at a time."""
        ...

    def list_refunds(self, *, since: datetime, cursor: str = "") -> Page[ProviderRefund]: ...

    def list_disputes(self, *, since: datetime, cursor: str = "") -> Page[ProviderDispute]: ...

    def verify_webhook(self, headers: Mapping[str, str], body: bytes) -> Webhook:
        """Raises `BadWebhook` unless the body was signed by this provider within the last five minutes."""
        ...

    def read_event(self, payload: Mapping[str, Any]) -> Told | None:
        """What a stored webhook tells about; None when it is nothing that payments acts on.

        Raises `UnreadableEvent`.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """What a storefront needs to offer it: members of `GET /payments/methods` beside `provider`."""
        ...
