"""The sandbox provider: the payment service of `python -m sandbox`, spoken to over HTTP like any other."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import httpx
import msgspec
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

SIGNATURE_HEADER = "Sandbox-Signature"
TOLERANCE_SECONDS = 300

_PAGE = 100
_TEST_TOKENS = (
    "pm_card_visa",
    "pm_card_chargeDeclined",
    "pm_card_authenticationRequired",
    "pm_card_delayed",
)


_T = TypeVar("_T")


class _Redirect(msgspec.Struct):
    url: str


class _NextAction(msgspec.Struct):
    redirect_to_url: _Redirect | None = None


class _PaymentError(msgspec.Struct):
    code: str = ""


class _Intent(msgspec.Struct):
    id: str
    status: PaymentStatus
    amount: int
    currency: str
    next_action: _NextAction | None = None
    last_payment_error: _PaymentError | None = None
    metadata: dict[str, str] = {}

    def read(self) -> Intent:
        redirect = self.next_action.redirect_to_url if self.next_action else None
        return Intent(
            reference=self.id,
            status=self.status,
            amount=Money(self.amount, self.currency),
            redirect_url=redirect.url if redirect else "",
            failure_code=self.last_payment_error.code if self.last_payment_error else "",
            payment_id=uuid_or_none(self.metadata.get("payment_id")),
        )


class _Refund(msgspec.Struct):
    id: str
    payment_intent: str
    status: Literal["pending", "succeeded", "failed"]
    amount: int
    currency: str
    failure_reason: str | None = None
    metadata: dict[str, str] = {}

    def read(self) -> ProviderRefund:
        return ProviderRefund(
            reference=self.id,
            payment_reference=self.payment_intent,
            status=self.status,
            amount=Money(self.amount, self.currency),
            refund_id=uuid_or_none(self.metadata.get("refund_id")),
            failure_code=self.failure_reason or "",
        )


class _Dispute(msgspec.Struct):
    id: str
    payment_intent: str
    status: Literal["needs_response", "won", "lost"]
    amount: int
    currency: str
    reason: str = ""

    def read(self) -> ProviderDispute:
        return ProviderDispute(
            reference=self.id,
            payment_reference=self.payment_intent,
            status="open" if self.status == "needs_response" else self.status,
            amount=Money(self.amount, self.currency),
            reason=self.reason,
        )


class _List(msgspec.Struct, Generic[_T]):
    data: list[_T]
    has_more: bool = False


class _Error(msgspec.Struct):
    code: str = ""
    message: str = ""
    param: str = ""
    payment_intent: _Intent | None = None


class _ErrorDocument(msgspec.Struct):
    error: _Error


class _Event(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    type: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class SandboxProvider:
    name = "sandbox"

    def __init__(self, *, url: str, api_key: str, webhook_secret: str, timeout_seconds: float) -> None:
        self._webhook_secret = webhook_secret.encode()
        self._http = client(
            timeout_seconds,
            base_url=url,
            headers={"authorization": f"Bearer {api_key}"},
            trust_env=False,
        )

    @classmethod
    def from_settings(cls) -> SandboxProvider:
        return cls(
            url=settings.SANDBOX_URL,
            api_key=settings.SANDBOX_API_KEY,
            webhook_secret=settings.SANDBOX_WEBHOOK_SECRET,
            timeout_seconds=settings.PAYMENT_PROVIDER_TIMEOUT_SECONDS,
        )

    def create_intent(self, *, payment_id: UUID, order_id: UUID, amount: Money) -> Intent:
        body = {
            "amount": amount.amount,
            "currency": amount.currency,
            "metadata": {"payment_id": str(payment_id), "order_id": str(order_id)},
        }
        return self._intent(self._call("POST", "/v1/payment_intents", body, key=f"create-{payment_id}"))

    def confirm_intent(
        self, reference: str, *, attempt_id: UUID, payment_method: str, return_url: str | None
    ) -> Intent:
        body = {"payment_method": payment_method, "return_url": return_url}
        path = f"/v1/payment_intents/{reference}/confirm"
        return self._intent(self._call("POST", path, body, key=f"confirm-{attempt_id}"))

    def get_intent(self, reference: str) -> Intent:
        return self._intent(self._call("GET", f"/v1/payment_intents/{reference}"))

    def cancel_intent(self, reference: str) -> Intent:
        return self._intent(self._call("POST", f"/v1/payment_intents/{reference}/cancel", {}))

    def refund(self, reference: str, *, refund_id: UUID, amount: Money, reason: str) -> ProviderRefund:
        body = {
            "payment_intent": reference,
            "amount": amount.amount,
            "reason": reason,
            "metadata": {"refund_id": str(refund_id)},
        }
        return self._refund(self._call("POST", "/v1/refunds", body, key=f"refund-{refund_id}"))

    def get_refund(self, reference: str) -> ProviderRefund:
        return self._refund(self._call("GET", f"/v1/refunds/{reference}"))

    def list_intents(self, *, since: datetime, cursor: str = "") -> Page[Intent]:
        found = self._list("payment_intents", _Intent, since, cursor)
        return Page(items=[each.read() for each in found.data], cursor=_cursor(found))

    def list_refunds(self, *, since: datetime, cursor: str = "") -> Page[ProviderRefund]:
        found = self._list("refunds", _Refund, since, cursor)
        return Page(items=[each.read() for each in found.data], cursor=_cursor(found))

    def list_disputes(self, *, since: datetime, cursor: str = "") -> Page[ProviderDispute]:
        found = self._list("disputes", _Dispute, since, cursor)
        return Page(items=[each.read() for each in found.data], cursor=_cursor(found))

    def verify_webhook(self, headers: Mapping[str, str], body: bytes) -> Webhook:
        fields = [part.partition("=") for part in headers.get(SIGNATURE_HEADER, "").split(",")]
        moment = next((value for name, _, value in fields if name.strip() == "t"), "")
        given = [value for name, _, value in fields if name.strip() == "v1"]
        if not (moment.isascii() and moment.isdigit() and len(moment) <= 12 and given):
            raise BadWebhook(f"The header {SIGNATURE_HEADER} is missing or malformed.")
        expected = hmac.new(self._webhook_secret, moment.encode() + b"." + body, hashlib.sha256).hexdigest()
        if not any(hmac.compare_digest(expected.encode(), value.strip().encode()) for value in given):
            raise BadWebhook("The signature does not fit the body.")
        if abs(time.time() - int(moment)) > TOLERANCE_SECONDS:
            raise BadWebhook("The time stamp is too far from now.")
        try:
            payload = msgspec.json.decode(body, type=dict[str, Any])
            event = msgspec.convert(payload, _Event)
        except (msgspec.MsgspecError, RecursionError):
            raise BadWebhook("The body is not an event.") from None
        if rb"\u0000" in body:
            raise BadWebhook("The body holds a NUL character.")
        return Webhook(event_id=event.id, type=event.type, payload=payload)

    def read_event(self, payload: Mapping[str, Any]) -> Told | None:
        try:
            snapshot = payload["data"]["object"]
            match snapshot.get("object"):
                case "payment_intent":
                    return msgspec.convert(snapshot, _Intent).read()
                case "refund":
                    return msgspec.convert(snapshot, _Refund).read()
                case "dispute":
                    return msgspec.convert(snapshot, _Dispute).read()
        except (msgspec.ValidationError, LookupError, TypeError, AttributeError) as error:
            raise UnreadableEvent(repr(error)) from None
        return None

    def close(self) -> None:
        """Gives the connections back; for tests."""
        self._http.close()

    def describe(self) -> dict[str, Any]:
        return {"type": "card", "name": "Test card", "test_tokens": list(_TEST_TOKENS)}

    def _intent(self, response: httpx.Response) -> Intent:
        if response.status_code == httpx.codes.OK:
            return self._decode(response, _Intent).read()
        error = self._decode(response, _ErrorDocument).error
        # A declined card and a final intent come as errors that hold the intent: its state is the answer.
        if error.payment_intent is not None:
            return error.payment_intent.read()
        raise ProviderRefused(error.code, error.message, param=error.param)

    def _refund(self, response: httpx.Response) -> ProviderRefund:
        if response.status_code == httpx.codes.OK:
            return self._decode(response, _Refund).read()
        error = self._decode(response, _ErrorDocument).error
        raise ProviderRefused(error.code, error.message, param=error.param)

    def _list(self, name: str, kind: type[_T], since: datetime, cursor: str) -> _List[_T]:
        query: dict[str, Any] = {"limit": _PAGE, "created[gte]": since.timestamp()}
        if cursor:
            query["starting_after"] = cursor
        response = self._call("GET", f"/v1/{name}?{urlencode(query)}")
        if response.status_code != httpx.codes.OK:
            error = self._decode(response, _ErrorDocument).error
            raise ProviderRefused(error.code, error.message, param=error.param)
        return self._decode(response, _List[kind])  # type: ignore[valid-type]

    def _decode(self, response: httpx.Response, kind: type[_T]) -> _T:
        try:
            return msgspec.json.decode(response.content, type=kind)
        except msgspec.MsgspecError as error:
            raise OutcomeUnknown(f"the sandbox sent what is not an answer: {error}") from None

    def _call(self, method: str, path: str, body: Any = None, *, key: str = "") -> httpx.Response:
        headers = {"idempotency-key": key} if key else {}
        response = send(self._http, method, path, json=body, headers=headers)
        if response.status_code >= 500:
            raise OutcomeUnknown(f"the sandbox answered {response.status_code}")
        if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.TOO_MANY_REQUESTS):
            logger.error("payment_provider_refuses_us", provider=self.name, status=response.status_code)
            raise ProviderUnavailable(f"the sandbox answered {response.status_code}")
        return response


def _cursor(found: _List[Any]) -> str:
    return found.data[-1].id if found.has_more and found.data else ""
