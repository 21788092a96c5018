"""One client for calls between services: tokens, time-outs, deadline, safe retries, circuit breaker, tracing."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any, TypeVar, overload

import httpx
import msgspec
import stamina
import structlog
from django.conf import settings
from django.db import connection

from shared_lib.auth.tokens import service_tokens
from shared_lib.exceptions import ServiceUnavailable, UpstreamProblem
from shared_lib.http.breaker import CircuitBreaker
from shared_lib.observability import context, tracing
from shared_lib.observability.metrics import UPSTREAM_SECONDS

logger = structlog.get_logger(__name__)

T = TypeVar("T")

_CONNECT_SECONDS = 1.0
_ATTEMPTS = 3
# An idle connection is given up before a callee that drains (shared_lib.server.web) closes it.
_KEEPALIVE_SECONDS = 4.0
# A callee that had less than this is not to blame for being late: in an overloaded caller calls begin with what the queue has
# left of their time, and a breaker that counted them would refuse those too that have all of it.
_FAIR_SECONDS = 1.0
_SAFE_METHODS = frozenset({"GET", "HEAD", "DELETE"})

# One pool of connections a process for all callees. Tests put a transport of their own here. There is no `httpx.Client` around it:
# cookies, redirects, proxies and credentials from .netrc are nothing that a call between services may have.
_transport: httpx.BaseTransport | None = None
_breakers: dict[str, CircuitBreaker] = {}


def use_transport(transport: httpx.BaseTransport | None) -> None:
    """Sends all calls of this process through `transport` (None: the network). For tests."""
    global _transport
    _transport = transport
    _breakers.clear()


def _http() -> httpx.BaseTransport:
    global _transport
    if _transport is None:
        limits = httpx.Limits(
            max_connections=64, max_keepalive_connections=32, keepalive_expiry=_KEEPALIVE_SECONDS
        )
        _transport = httpx.HTTPTransport(limits=limits)
    return _transport


def _in_transaction() -> bool:
    """Whether this thread has a transaction open, apart from the one in which Django's tests run."""
    blocks = connection.atomic_blocks if connection.in_atomic_block else []
    return any(not getattr(block, "_from_testcase", False) for block in blocks)


class _Retryable(Exception):
    """The call failed in a way that a repetition cannot make worse."""

    def __init__(self, error: ServiceUnavailable) -> None:
        super().__init__(str(error))
        self.error = error


class CalledInTransaction(RuntimeError):
    """A call was made while a database transaction is open: its locks would be held until another service answers."""


class ServiceClient:
    """Calls of this service to `service`. Never inside a database transaction: `CalledInTransaction`, except in prod.

    `idempotent=True` says that a repetition of a POST is harmless (the callee knows it by an id in the body); only then,
    or for GET and DELETE, a call that may have reached the callee is repeated. A refused connection is always repeated.
    """

    def __init__(self, service: str) -> None:
        self.service = service

    @overload
    def get(self, path: str, *, type: type[T], params: dict[str, Any] | None = None) -> T: ...
    @overload
    def get(self, path: str, *, type: None = None, params: dict[str, Any] | None = None) -> None: ...
    def get(self, path: str, *, type: Any = None, params: dict[str, Any] | None = None) -> Any:
        return self._call("GET", path, type=type, params=params)

    @overload
    def post(self, path: str, *, json: Any = None, type: type[T], idempotent: bool = False) -> T: ...
    @overload
    def post(self, path: str, *, json: Any = None, type: None = None, idempotent: bool = False) -> None: ...
    def post(self, path: str, *, json: Any = None, type: Any = None, idempotent: bool = False) -> Any:
        return self._call("POST", path, type=type, json=json, idempotent=idempotent)

    def delete(self, path: str) -> None:
        self._call("DELETE", path, type=None)

    def _call(
        self,
        method: str,
        path: str,
        *,
        type: Any,
        params: dict[str, Any] | None = None,
        json: Any = None,
        idempotent: bool = False,
    ) -> Any:
        """The decoded body, or None for a call without `type`.

        Raises `UpstreamProblem` for 4xx, `ServiceUnavailable` when there is no usable answer before the deadline. Both know
        of earlier attempts that may have reached the callee: `uncertain` and `sent`.
        """
        if settings.ENVIRONMENT != "prod" and _in_transaction():
            raise CalledInTransaction(f"{method} {self.service}{path}")
        repeatable = idempotent or method in _SAFE_METHODS
        body = None if json is None else msgspec.json.encode(json)
        sent_before = False
        try:
            for attempt in stamina.retry_context(
                on=_Retryable,
                attempts=_ATTEMPTS,
                timeout=None,
                wait_initial=0.05,
                wait_max=0.5,
                wait_jitter=0.05,
            ):
                with attempt:
                    try:
                        response = self._send(method, path, params=params, body=body, repeatable=repeatable)
                    except _Retryable as failure:
                        sent_before = failure.error.sent = failure.error.sent or sent_before
                        raise
        except _Retryable as failure:
            raise failure.error from None
        except ServiceUnavailable as error:
            error.sent = error.sent or sent_before
            raise
        except UpstreamProblem as problem:
            problem.uncertain = sent_before
            raise
        if type is None:
            return None
        try:
            return msgspec.json.decode(response.content, type=type)
        except msgspec.DecodeError as error:
            logger.error("upstream_contract_broken", callee=self.service, path=path, error=str(error))
            raise ServiceUnavailable(
                reason=f"{self.service} sent an answer that breaks its contract."
            ) from None

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """One attempt."""
        with tracing.span(f"{method} {self.service}", "client", {"url.path": path}):
            return self._try(method, path, **request)

    def _try(
        self, method: str, path: str, *, params: dict[str, Any] | None, body: bytes | None, repeatable: bool
    ) -> httpx.Response:
        budget = context.remaining_seconds(settings.REQUEST_TIMEOUT_SECONDS)
        breaker = _breakers.setdefault(self.service, CircuitBreaker())
        if budget <= 0:
            raise ServiceUnavailable(reason="There was no time left for this call.", sent=False)
        if not breaker.allows():
            raise ServiceUnavailable(
                reason=f"{self.service} is failing; it is left alone for a moment.", sent=False
            )
        started = time.perf_counter()
        outcome = "error"
        try:
            request = httpx.Request(
                method,
                settings.SERVICE_URLS[self.service] + path,
                params=params,
                content=body,
                headers=self._headers(budget, body),
                extensions={
                    "timeout": httpx.Timeout(budget, connect=min(_CONNECT_SECONDS, budget)).as_dict()
                },
            )
            with closing(_http().handle_request(request)) as response:
                response.read()
            outcome = str(response.status_code)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            breaker.failed()
            raise _Retryable(
                ServiceUnavailable(reason=f"{self.service} cannot be reached: {error!r}", sent=False)
            ) from None
        except httpx.TransportError as error:
            if budget >= _FAIR_SECONDS or not isinstance(error, httpx.TimeoutException):
                breaker.failed()
            failure = ServiceUnavailable(reason=f"{self.service} did not answer: {error!r}")
            raise (_Retryable(failure) if repeatable else failure) from None
        finally:
            UPSTREAM_SECONDS.labels(self.service, outcome).observe(time.perf_counter() - started)
        if response.status_code >= 500:
            if budget >= _FAIR_SECONDS or response.status_code != 503:
                breaker.failed()
            failure = ServiceUnavailable(reason=f"{self.service} answered {response.status_code}.")
            raise (_Retryable(failure) if repeatable else failure)
        breaker.succeeded()
        if response.status_code >= 400:
            raise self._problem(response)
        return response

    def _headers(self, budget: float, body: bytes | None) -> dict[str, str]:
        headers = {
            "Authorization": f"Bearer {service_tokens().token_for(self.service)}",
            "Accept": "application/json",
            "X-Request-Id": context.request_id(),
            "X-Request-Deadline": f"{time.time() + budget:.3f}",
        }
        if context.traceparent():
            headers["traceparent"] = context.traceparent()
        if body is not None:
            headers["Content-Type"] = "application/json"
        return headers

    def _problem(self, response: httpx.Response) -> UpstreamProblem:
        try:
            problem = msgspec.json.decode(response.content, type=dict[str, Any])
        except msgspec.DecodeError:
            problem = {}
        return UpstreamProblem(
            self.service, response.status_code, str(problem.get("code", "unknown")), problem
        )
