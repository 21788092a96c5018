"""The sandbox's HTTP interface: the API with its key, the 3-D Secure page, an overview.

API: `Authorization: Bearer KEY`, JSON bodies. Errors: `{"error": {type, code, message, ...}}`. Each POST takes
an `Idempotency-Key` (required except to cancel): the first answer is kept for three days, in the transaction of
its effect, and given again; the same key with another request is 400 `idempotency_key_reused`.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from sandbox import pages
from sandbox.faults import FaultBook, Faults
from sandbox.http import (
    BodyTooLarge,
    Disconnected,
    Receive,
    Request,
    Response,
    Routes,
    Scope,
    Send,
    read_request,
    send_response,
)
from sandbox.intents import ApiError, Intents
from sandbox.settings import Settings
from sandbox.store import Store
from sandbox.webhooks import Courier

logger = logging.getLogger("sandbox")

_HTML = "text/html; charset=utf-8"
_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}

Text = Annotated[str, msgspec.Meta(max_length=500)]
Metadata = Annotated[dict[Annotated[str, msgspec.Meta(max_length=40)], Text], msgspec.Meta(max_length=20)]
Amount = Annotated[int, msgspec.Meta(ge=1, le=99_999_999_999)]


class CreateIntent(msgspec.Struct, forbid_unknown_fields=True):
    amount: Amount
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    metadata: Metadata = {}


class ConfirmIntent(msgspec.Struct, forbid_unknown_fields=True):
    payment_method: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    return_url: Annotated[str, msgspec.Meta(max_length=2000)] | None = None


class CreateRefund(msgspec.Struct, forbid_unknown_fields=True):
    payment_intent: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    amount: Amount
    reason: Text = ""
    metadata: Metadata = {}


class AnswerDispute(msgspec.Struct, forbid_unknown_fields=True):
    evidence: Literal["winning_evidence", "losing_evidence"]


class ListQuery(msgspec.Struct, forbid_unknown_fields=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    starting_after: Annotated[str, msgspec.Meta(max_length=64)] = ""
    since: float = msgspec.field(default=0.0, name="created[gte]")


Body = TypeVar("Body", bound=msgspec.Struct)


class Sandbox:
    """The ASGI application: one thread, which also owns the store."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._faults = FaultBook(store, settings.faults)
        self._intents = Intents(
            store,
            self._faults,
            public_url=settings.public_url,
            settle_seconds=settings.settle_seconds,
            webhook_seconds=settings.webhook_seconds,
        )
        self._courier = Courier(
            store, self._intents, self._faults, url=settings.webhook_url, secrets=settings.webhook_secrets
        )
        routes = self._routes = Routes()
        routes.add("GET", "/", self._overview)
        routes.add("GET", "/healthz", lambda _: Response.json(200, {"status": "ok"}))
        routes.add("GET", "/3ds/{challenge}", self._show_challenge)
        routes.add("POST", "/3ds/{challenge}", self._answer_challenge)
        routes.add("POST", "/v1/payment_intents", self._api(self._create))
        routes.add("GET", "/v1/payment_intents/{id}", self._api(self._get))
        routes.add("POST", "/v1/payment_intents/{id}/confirm", self._api(self._confirm))
        routes.add("POST", "/v1/payment_intents/{id}/cancel", self._api(self._cancel))
        routes.add("POST", "/v1/refunds", self._api(self._refund))
        routes.add("GET", "/v1/refunds/{id}", self._api(self._get_refund))
        routes.add("GET", "/v1/disputes/{id}", self._api(self._get_dispute))
        routes.add("POST", "/v1/disputes/{id}", self._api(self._answer_dispute))
        for kind in ("payment_intents", "refunds", "disputes"):
            routes.add("GET", f"/v1/{kind}", self._api(partial(self._list, kind)))
        routes.add("GET", "/control/faults", self._api(self._show_faults))
        routes.add("POST", "/control/faults", self._api(self._set_faults))
        routes.add("DELETE", "/control/faults", self._api(self._heal))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        try:
            request = await read_request(scope, receive)
        except Disconnected:
            return
        except BodyTooLarge:
            response = _error(413, "invalid_request_error", "body_too_large", "The body is too large.")
        else:
            response = await self._respond_with_faults(request)
        await send_response(response, send, head_only=scope["method"] == "HEAD")

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        courier = asyncio.create_task(self._courier.run())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        courier.cancel()
        await asyncio.gather(courier, return_exceptions=True)
        self._store.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _respond_with_faults(self, request: Request) -> Response:
        if not request.path.startswith("/v1/"):
            return self._respond(request)
        with self._store.transaction():
            plan = self._faults.plan_answer()
        if plan.breaks("before"):
            response = _broken(plan.kind)
        else:
            response = self._respond(request)
        await asyncio.sleep(plan.delay)
        return _broken(plan.kind) if plan.breaks("after") else response

    def _respond(self, request: Request) -> Response:
        found = self._routes.find(request.method, request.path)
        if isinstance(found, set):
            if not found:
                return _error(404, "invalid_request_error", "not_found", "There is no such page.")
            response = _error(
                405, "invalid_request_error", "method_not_allowed", "This method is not possible here."
            )
            response.headers["allow"] = ", ".join(sorted(found))
            return response
        handler, arguments = found
        try:
            return handler(request, *arguments)
        except ApiError as error:
            return Response.json(error.status, error.document)
        except Exception:
            logger.exception("%s %s failed", request.method, request.path)
            return _error(500, "api_error", "internal_error", "Something went wrong here.")

    # The API

    def _api(self, handler: Callable[..., Response]) -> Callable[..., Response]:
        def guarded(request: Request, *arguments: str) -> Response:
            # A gateway shows the pages to browsers; the rest is for those who reach the sandbox itself.
            if "x-forwarded-for" in request.headers:
                raise ApiError(404, "invalid_request_error", "not_found", "There is no such page.")
            given = request.headers.get("authorization", "").encode("latin-1")
            known = self._settings.api_keys.now()
            if not any(hmac.compare_digest(given, f"Bearer {key}".encode()) for key in known):
                raise ApiError(
                    401, "authentication_error", "api_key_invalid", "The API key is missing or wrong."
                )
            return handler(request, *arguments)

        return guarded

    def _once(
        self, request: Request, run: Callable[[], dict[str, Any]], *, required: bool = True
    ) -> Response:
        """Runs `run` in one transaction; the answer is kept in it under the request's key."""
        key = request.headers.get("idempotency-key", "")
        if not key and required:
            raise ApiError(
                400, "invalid_request_error", "idempotency_key_required", "Send an Idempotency-Key."
            )
        if not re.fullmatch(r"[\x21-\x7e]{0,255}", key):
            raise ApiError(
                400, "invalid_request_error", "idempotency_key_invalid", "The Idempotency-Key is malformed."
            )
        fingerprint = hashlib.sha256(f"{request.method} {request.path}\n".encode() + request.body).hexdigest()
        with self._store.transaction():
            if (
                kept := self._store.one("SELECT * FROM answers WHERE idempotency_key = ?", key)
                if key
                else None
            ):
                if kept["fingerprint"] != fingerprint:
                    message = "This Idempotency-Key was used for another request."
                    raise ApiError(400, "idempotency_error", "idempotency_key_reused", message)
                return Response(kept["status"], kept["body"], headers={"idempotent-replayed": "true"})
            try:
                response = _answer(run())
            except ApiError as error:
                if error.status != 409:
                    raise
                response = Response.json(error.status, error.document)
            if key:
                self._store.insert(
                    "answers",
                    idempotency_key=key,
                    fingerprint=fingerprint,
                    status=response.status,
                    body=response.body,
                    created=time.time(),
                )
        self._courier.wake()
        return response

    def _create(self, request: Request) -> Response:
        body = _decode(request, CreateIntent)
        return self._once(
            request,
            lambda: self._intents.create(amount=body.amount, currency=body.currency, metadata=body.metadata),
        )

    def _get(self, _request: Request, intent_id: str) -> Response:
        return Response.json(200, self._intents.get(intent_id))

    def _confirm(self, request: Request, intent_id: str) -> Response:
        body = _decode(request, ConfirmIntent)
        if body.return_url is not None and not re.fullmatch(r"https?://[\x21-\x7e]+", body.return_url):
            raise ApiError(
                400, "invalid_request_error", "url_invalid", "Not an http(s) URL.", param="return_url"
            )
        return self._once(
            request,
            lambda: self._intents.confirm(
                intent_id, payment_method=body.payment_method, return_url=body.return_url
            ),
        )

    def _cancel(self, request: Request, intent_id: str) -> Response:
        return self._once(request, lambda: self._intents.cancel(intent_id), required=False)

    def _refund(self, request: Request) -> Response:
        body = _decode(request, CreateRefund)
        return self._once(
            request,
            lambda: self._intents.refund(
                body.payment_intent, amount=body.amount, reason=body.reason, metadata=body.metadata
            ),
        )

    def _get_refund(self, _request: Request, refund_id: str) -> Response:
        return Response.json(200, self._intents.get_refund(refund_id))

    def _get_dispute(self, _request: Request, dispute_id: str) -> Response:
        return Response.json(200, self._intents.get_dispute(dispute_id))

    def _answer_dispute(self, request: Request, dispute_id: str) -> Response:
        won = _decode(request, AnswerDispute).evidence == "winning_evidence"
        return self._once(request, lambda: self._intents.close_dispute(dispute_id, won=won), required=False)

    def _list(self, kind: str, request: Request) -> Response:
        given = dict(parse_qsl(request.query))
        try:
            wanted = msgspec.convert(given, ListQuery, strict=False)
        except msgspec.ValidationError as error:
            raise ApiError(400, "invalid_request_error", "parameter_invalid", str(error)) from None
        page = self._intents.page(
            kind, limit=wanted.limit, starting_after=wanted.starting_after, since=wanted.since
        )
        return Response.json(200, page)

    # The faults

    def _show_faults(self, _request: Request) -> Response:
        return Response.json(200, self._faults.report())

    def _set_faults(self, request: Request) -> Response:
        faults = _decode(request, Faults)
        with self._store.transaction():
            self._faults.set(faults)
        return Response.json(200, self._faults.report())

    def _heal(self, _request: Request) -> Response:
        with self._store.transaction():
            self._faults.heal()
        self._courier.wake()
        return Response.json(200, self._faults.report())

    # The pages

    def _overview(self, _request: Request) -> Response:
        intents = self._store.all("SELECT * FROM intents ORDER BY created DESC LIMIT 20")
        events = self._store.all("SELECT * FROM events ORDER BY created DESC LIMIT 20")
        return _page(200, pages.overview_page([dict(row) for row in intents], [dict(row) for row in events]))

    def _show_challenge(self, _request: Request, challenge: str) -> Response:
        try:
            intent, return_url = self._intents.challenged(challenge)
        except ApiError as error:
            return _page(error.status, pages.message_page("3-D Secure", str(error)))
        if intent["status"] == "requires_action":
            return _page(200, pages.challenge_page(intent))
        return _page(200, pages.decided_page(intent, _way_back(intent, return_url)))

    def _answer_challenge(self, request: Request, challenge: str) -> Response:
        outcome = parse_qs(request.body.decode("utf-8", "replace")).get("outcome", [""])[0]
        if outcome not in ("authorise", "fail"):
            return _page(400, pages.message_page("3-D Secure", "Choose one of the two buttons."))
        try:
            with self._store.transaction():
                intent = self._intents.answer_challenge(challenge, authorised=outcome == "authorise")
            _, return_url = self._intents.challenged(challenge)
        except ApiError as error:
            return _page(error.status, pages.message_page("3-D Secure", str(error)))
        self._courier.wake()
        if location := _way_back(intent, return_url):
            return Response(303, b"", headers={"location": location, "referrer-policy": "no-referrer"})
        return _page(200, pages.decided_page(intent, None))


def _answer(document: dict[str, Any]) -> Response:
    """A declined card is 402 with the intent inside the error; everything else is the object itself."""
    error = document.get("last_payment_error")
    if document["object"] == "payment_intent" and document["status"] == "requires_payment_method" and error:
        return Response.json(402, {"error": {**error, "payment_intent": document}})
    return Response.json(200, document)


def _way_back(intent: dict[str, Any], return_url: str | None) -> str | None:
    """The shop's address with `payment_intent` and `redirect_status`, `succeeded` or `failed`."""
    if return_url is None:
        return None
    parts = urlsplit(return_url)
    status = "succeeded" if intent["status"] in ("succeeded", "processing") else "failed"
    query = [
        *parse_qsl(parts.query, keep_blank_values=True),
        ("payment_intent", intent["id"]),
        ("redirect_status", status),
    ]
    return urlunsplit(parts._replace(query=urlencode(query)))


def _decode(request: Request, kind: type[Body]) -> Body:
    try:
        return msgspec.json.decode(request.body, type=kind)
    except msgspec.ValidationError as error:
        raise ApiError(400, "invalid_request_error", "parameter_invalid", str(error)) from None
    except msgspec.DecodeError:
        raise ApiError(400, "invalid_request_error", "body_malformed", "The body is not JSON.") from None


def _error(status: int, kind: str, code: str, message: str) -> Response:
    return Response.json(status, ApiError(status, kind, code, message).document)


def _broken(kind: str) -> Response:
    response = _error(500, "api_error", "internal_error", "A fault that was asked for.")
    response.cut = kind == "cut"
    return response


def _page(status: int, html: bytes) -> Response:
    return Response(status, html, _HTML, dict(_PAGE_HEADERS))
