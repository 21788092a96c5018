"""Stripe, through its official SDK: payment intents, refunds, disputes, signed webhooks.

The SDK sends nothing twice by itself: our transport does, once, when a connection broke, and every POST carries an
idempotency key of ours. Stripe forgets keys after a day, so a refund is looked for before it is asked for.

With `capture="manual"` a confirmation only authorises, and the authorised intent is captured in a call of its own at once; what
dies between the two is captured when the intent is asked for next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, TypeVar
from uuid import UUID

import msgspec
import stripe
import structlog
from django.conf import settings

from payments.providers.base import (
    BadWebhook,
    Intent,
    OutcomeUnknown,
    Page,
    ProviderDispute,
    ProviderRefund,
    ProviderRefused,
    ProviderUnavailable,
    Told,
    UnreadableEvent,
    Webhook,
    uuid_or_none,
)
from payments.providers.http import client, send
from shared_lib.contracts.internal.payments import PaymentStatus
from shared_lib.money import Money

logger = structlog.get_logger(__name__)

SIGNATURE_HEADER = "Stripe-Signature"
TOLERANCE_SECONDS = 300

_PAGE = 100
# Stripe counts these in hundredths although they have no smaller unit.
_HUNDREDTHS = frozenset({"ISK", "UGX"})
_STATUS: dict[str, PaymentStatus] = {
    "requires_payment_method": "requires_payment_method",
    "requires_confirmation": "requires_payment_method",
    "requires_action": "requires_action",
    "processing": "processing",
    "requires_capture": "processing",
    "succeeded": "succeeded",
    "canceled": "canceled",
}
_REFUND_STATUS: dict[str, Literal["pending", "succeeded", "failed"]] = {
    "pending": "pending",
    "requires_action": "pending",
    "succeeded": "succeeded",
    "failed": "failed",
    "canceled": "failed",
}
# Inquiries (`warning_...`) move no money.
_DISPUTE_STATUS: dict[str, Literal["open", "won", "lost"]] = {
    "needs_response": "open",
    "under_review": "open",
    "won": "won",
    "lost": "lost",
}

_T = TypeVar("_T")
Document = dict[str, Any]


class _Transport(stripe.HTTPClient):
    """The SDK's way to the network: ours."""

    name = "httpx"

    def __init__(self, timeout_seconds: float) -> None:
        super().__init__()
        self.http = client(timeout_seconds)

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: Any = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        response = send(self.http, method, url, headers=dict(headers or {}), content=post_data or b"")
        return response.text, response.status_code, response.headers

    def close(self) -> None:
        self.http.close()


class StripeProvider:
    name = "stripe"

    def __init__(
        self,
        *,
        secret_key: str,
        webhook_secret: str,
        return_url: str,
        timeout_seconds: float,
        publishable_key: str = "",
        api_base: str = "https://api.stripe.com",
        capture: Literal["automatic", "manual"] = "automatic",
    ) -> None:
        """`return_url`: where a buyer comes back to who named no address of his own."""
        self._webhook_secret = webhook_secret
        self._return_url = return_url
        self._publishable_key = publishable_key
        self._capture = capture
        self._transport = _Transport(timeout_seconds)
        self._stripe = stripe.StripeClient(
            secret_key,
            base_addresses={"api": api_base},
            http_client=self._transport,
            max_network_retries=0,
        ).v1

    @classmethod
    def from_settings(cls) -> StripeProvider:
        return cls(
            secret_key=settings.STRIPE_SECRET_KEY,
            webhook_secret=settings.STRIPE_WEBHOOK_SECRET,
            publishable_key=settings.STRIPE_PUBLISHABLE_KEY,
            api_base=settings.STRIPE_API_BASE,
            capture=settings.STRIPE_CAPTURE_METHOD,
            return_url=settings.PAYMENT_RETURN_URLS[0],
            timeout_seconds=settings.PAYMENT_PROVIDER_TIMEOUT_SECONDS,
        )

    def create_intent(self, *, payment_id: UUID, order_id: UUID, amount: Money) -> Intent:
        return self._intent(
            lambda: self._stripe.payment_intents.create(
                {
                    "amount": _their_amount(amount),
                    "currency": amount.currency.lower(),
                    "capture_method": self._capture,
                    "allowed_payment_method_types": ["card"],
                    "metadata": {"payment_id": str(payment_id), "order_id": str(order_id)},
                },
                {"idempotency_key": f"create-{payment_id}"},
            )
        )

    def confirm_intent(
        self, reference: str, *, attempt_id: UUID, payment_method: str, return_url: str | None
    ) -> Intent:
        try:
            return self._intent(
                lambda: self._stripe.payment_intents.confirm(
                    reference,
                    {"payment_method": payment_method, "return_url": return_url or self._return_url},
                    {"idempotency_key": f"confirm-{attempt_id}"},
                )
            )
        except _Refused as refused:
            if not refused.declined:
                raise
        return self.get_intent(reference)  # a decline whose error did not hold the intent

    def get_intent(self, reference: str) -> Intent:
        return self._intent(lambda: self._stripe.payment_intents.retrieve(reference))

    def cancel_intent(self, reference: str) -> Intent:
        return self._intent(lambda: self._stripe.payment_intents.cancel(reference))

    def refund(self, reference: str, *, refund_id: UUID, amount: Money, reason: str) -> ProviderRefund:
        if made := self._find_refund(reference, refund_id):
            return made
        # Their own `reason` is one of three words; ours is a sentence.
        metadata = {"refund_id": str(refund_id), "reason": reason[:500]}
        document = self._call(
            lambda: self._stripe.refunds.create(
                {"payment_intent": reference, "amount": _their_amount(amount), "metadata": metadata},
                {"idempotency_key": f"refund-{refund_id}"},
            )
        )
        return _read_refund(document)

    def get_refund(self, reference: str) -> ProviderRefund:
        return _read_refund(self._call(lambda: self._stripe.refunds.retrieve(reference)))

    def list_intents(self, *, since: datetime, cursor: str = "") -> Page[Intent]:
        return self._page(self._stripe.payment_intents.list, since, cursor, _read_intent)

    def list_refunds(self, *, since: datetime, cursor: str = "") -> Page[ProviderRefund]:
        return self._page(self._stripe.refunds.list, since, cursor, _read_refund)

    def list_disputes(self, *, since: datetime, cursor: str = "") -> Page[ProviderDispute]:
        return self._page(self._stripe.disputes.list, since, cursor, _read_dispute)

    def verify_webhook(self, headers: Mapping[str, str], body: bytes) -> Webhook:
        header = headers.get(SIGNATURE_HEADER, "")
        try:
            header.encode("ascii")  # the SDK cannot compare anything else
            stripe.WebhookSignature.verify_header(body, header, self._webhook_secret, TOLERANCE_SECONDS)
        except (stripe.SignatureVerificationError, UnicodeError):
            raise BadWebhook(
                f"The header {SIGNATURE_HEADER} is missing, too old, or does not fit the body."
            ) from None
        moment = next(part[2:] for part in header.split(",") if part.startswith("t="))
        if int(moment) > time.time() + TOLERANCE_SECONDS:
            raise BadWebhook("The time stamp is too far from now.")
        try:
            event = msgspec.json.decode(body, type=Document)
            found = msgspec.convert(event, _Event)
        except (msgspec.MsgspecError, RecursionError):
            raise BadWebhook("The body is not an event.") from None
        if rb"\u0000" in body:
            raise BadWebhook("The body holds a NUL character.")
        return Webhook(event_id=found.id, type=found.type, payload=event)

    def read_event(self, payload: Mapping[str, Any]) -> Told | None:
        try:
            document = payload["data"]["object"]
            match document.get("object"):
                case "payment_intent":
                    return _read_intent(document)
                case "refund" if document.get("payment_intent"):
                    return _read_refund(document)
                case "dispute" if document.get("payment_intent"):
                    return _read_dispute(document)
        except (LookupError, TypeError, AttributeError) as error:
            raise UnreadableEvent(repr(error)) from None
        return None

    def describe(self) -> dict[str, Any]:
        key = {"publishable_key": self._publishable_key} if self._publishable_key else {}
        return {"type": "card", "name": "Card", **key}

    def close(self) -> None:
        """Gives the connections back; for tests."""
        self._transport.close()

    def _find_refund(self, reference: str, refund_id: UUID) -> ProviderRefund | None:
        query: Any = {"payment_intent": reference, "limit": _PAGE}
        while True:
            listed = self._call(lambda: self._stripe.refunds.list(query))
            for document in listed["data"]:
                refund = _read_refund(document)
                if refund.refund_id == refund_id:
                    return refund
            if not listed["has_more"] or not listed["data"]:
                return None
            query["starting_after"] = listed["data"][-1]["id"]

    def _page(
        self,
        ask: Callable[[Any], Any],
        since: datetime,
        cursor: str,
        read: Callable[[Document], _T | None],
    ) -> Page[_T]:
        query = {"limit": _PAGE, "created": {"gte": int(since.timestamp())}}
        listed = self._call(lambda: ask({**query, "starting_after": cursor} if cursor else query))
        data = listed["data"]
        items = [item for document in data if (item := read(document)) is not None]
        return Page(items=items, cursor=data[-1]["id"] if listed["has_more"] and data else "")

    def _intent(self, ask: Callable[[], Any]) -> Intent:
        document = self._call_for_intent(ask)
        if document["status"] == "requires_capture":
            document = self._call_for_intent(
                lambda: self._stripe.payment_intents.capture(
                    document["id"], {}, {"idempotency_key": f"capture-{document['id']}"}
                )
            )
        return _read_intent(document)

    def _call_for_intent(self, ask: Callable[[], Any]) -> Document:
        """A declined card and a state that does not allow the call are errors that hold the intent: it is the answer."""
        try:
            return self._call(ask)
        except _Refused as refused:
            if refused.intent is not None:
                return refused.intent
            raise

    def _call(self, ask: Callable[[], Any]) -> Document:
        try:
            found = ask()
            document: Document = found.to_dict()
        except stripe.StripeError as error:
            raise _meaning(error) from None
        if document.get("object") is None:
            raise OutcomeUnknown("stripe sent what is not an answer")
        return document


class _Event(msgspec.Struct):
    id: str
    type: str

    def __post_init__(self) -> None:
        if not (0 < len(self.id) <= 255 and 0 < len(self.type) <= 100):
            raise ValueError("an event has an id and a type")


class _Refused(ProviderRefused):
    def __init__(
        self, code: str, message: str, *, param: str, intent: Document | None, declined: bool
    ) -> None:
        super().__init__(code, message, param=param)
        self.intent = intent
        self.declined = declined


def _meaning(error: stripe.StripeError) -> Exception:
    status = error.http_status or 0
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError | stripe.RateLimitError):
        logger.error("payment_provider_refuses_us", provider="stripe", status=status)
        return ProviderUnavailable(f"stripe answered {status}")
    # 409: the same key is being worked on at this moment.
    known = isinstance(error, stripe.CardError | stripe.InvalidRequestError)
    if not known or status >= 500 or status == 409:
        return OutcomeUnknown(f"stripe answered {status or 'what is not an answer'}")
    body = error.json_body if isinstance(error.json_body, dict) else {}
    document = body.get("error") or {}
    intent = document.get("payment_intent")
    return _Refused(
        str(document.get("code") or document.get("type") or "refused"),
        str(document.get("message") or "refused"),
        param=str(document.get("param") or ""),
        intent=intent if isinstance(intent, dict) and "status" in intent else None,
        declined=isinstance(error, stripe.CardError),
    )


def _read_intent(document: Document) -> Intent:
    status = _STATUS[document["status"]]
    failure = document.get("last_payment_error") or {}
    failure_code = failure.get("decline_code") or failure.get("code") or ""
    redirect = ((document.get("next_action") or {}).get("redirect_to_url") or {}).get("url") or ""
    if status == "requires_action" and not redirect:
        # A way that only their script in a page can go; we can send nobody there.
        status, failure_code = "requires_payment_method", "authentication_required"
    amount = document["amount"]
    if status == "succeeded":
        amount = document.get("amount_received", amount)
    return Intent(
        reference=document["id"],
        status=status,
        amount=_our_amount(amount, document["currency"]),
        redirect_url=redirect if status == "requires_action" else "",
        failure_code=failure_code if status == "requires_payment_method" else "",
        payment_id=uuid_or_none((document.get("metadata") or {}).get("payment_id")),
    )


def _read_refund(document: Document) -> ProviderRefund:
    return ProviderRefund(
        reference=document["id"],
        payment_reference=_id_of(document.get("payment_intent")),
        status=_REFUND_STATUS[document["status"]],
        amount=_our_amount(document["amount"], document["currency"]),
        refund_id=uuid_or_none((document.get("metadata") or {}).get("refund_id")),
        failure_code=document.get("failure_reason") or "",
    )


def _read_dispute(document: Document) -> ProviderDispute | None:
    status = _DISPUTE_STATUS.get(document["status"])
    if status is None:
        return None
    return ProviderDispute(
        reference=document["id"],
        payment_reference=_id_of(document.get("payment_intent")),
        status=status,
        amount=_our_amount(document["amount"], document["currency"]),
        reason=document.get("reason") or "",
    )


def _id_of(value: Any) -> str:
    """Of an object that may be expanded."""
    return str(value["id"]) if isinstance(value, dict) else str(value or "")


def _their_amount(amount: Money) -> int:
    return amount.amount * 100 if amount.currency in _HUNDREDTHS else amount.amount


def _our_amount(amount: int, currency: str) -> Money:
    name = currency.upper()
    return Money(amount // 100 if name in _HUNDREDTHS else amount, name)
