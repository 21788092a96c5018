"""One request to a provider, and what may be concluded when there is no answer."""

from __future__ import annotations

from typing import Any

import httpx

from payments.providers.base import OutcomeUnknown, ProviderUnavailable
from shared_lib.observability import tracing

_CONNECT_SECONDS = 2.0


def client(timeout_seconds: float, **values: Any) -> httpx.Client:
    """A client for one provider, for all threads; `timeout_seconds` for each step of a request."""
    return httpx.Client(
        timeout=httpx.Timeout(timeout_seconds, connect=min(_CONNECT_SECONDS, timeout_seconds)),
        limits=httpx.Limits(max_connections=32, max_keepalive_connections=16, keepalive_expiry=30),
        **values,
    )


def send(http: httpx.Client, method: str, url: str, **values: Any) -> httpx.Response:
    """Sent a second time if its connection broke: reads may be, and the idempotency key of all others makes it harmless.

    Raises `ProviderUnavailable` when nothing can have arrived, `OutcomeUnknown` when it may have.
    """
    sent = False
    for last in (False, True):
        try:
            with tracing.span(f"{method} provider", "client", {"server.address": http.base_url.host}):
                return http.request(method, url, **values)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            if not sent:
                raise ProviderUnavailable(repr(error)) from None
            raise OutcomeUnknown(repr(error)) from None
        except httpx.TransportError as error:
            sent = True
            if last or isinstance(error, httpx.TimeoutException):
                raise OutcomeUnknown(repr(error)) from None
    raise AssertionError("unreachable")
