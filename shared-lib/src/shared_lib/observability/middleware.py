"""The one middleware of a service: request id, trace, deadline, time, metrics and the access log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse

from shared_lib.observability import context, pool, tracing
from shared_lib.observability.metrics import HTTP_REQUESTS, HTTP_SECONDS, REQUESTS_TOO_LATE

logger = structlog.get_logger("shop.request")

_QUIET_ROUTES = frozenset({"healthz", "readyz", "metrics"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestContextMiddleware:
    """Outermost. Adds `X-Request-Id` and `Server-Timing` to every answer and makes personal answers uncacheable.

    An answer to a request that carried credentials is `private, no-store` unless the view said otherwise.

    A request whose deadline passed while it waited for a thread gets a 503 and nothing is done for it: its sender has gone.
    Otherwise a service with more work than it can do would do nothing but work that nobody waits for any more.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started, started_at = time.perf_counter(), time.time()
        structlog.contextvars.clear_contextvars()
        context.begin(
            request_id=request.META.get("HTTP_X_REQUEST_ID"),
            traceparent=request.META.get("HTTP_TRACEPARENT"),
            deadline=_deadline(request),
        )
        with tracing.span("request", "server") as span:
            if (context.deadline() or started_at) < started_at:
                REQUESTS_TOO_LATE.inc()
                response = _too_late()
            else:
                response = self.get_response(request)
            match = request.resolver_match
            route = match.route if match else "unknown"
            method = request.method if request.method in _METHODS else "OTHER"
            if span:
                _describe(span, request, response, f"{method} {route}")
        seconds = time.perf_counter() - started

        HTTP_REQUESTS.labels(method, route, response.status_code).inc()
        HTTP_SECONDS.labels(method, route).observe(seconds)
        pool.measure_now_and_then(started_at)
        response.headers.setdefault("X-Request-Id", context.request_id())
        response.headers.setdefault("Server-Timing", f"app;dur={seconds * 1000:.1f}")
        if not response.has_header("Cache-Control"):
            response.headers["Cache-Control"] = "private, no-store"
        if route not in _QUIET_ROUTES:
            logger.info(
                "request",
                method=method,
                route=route,
                status=response.status_code,
                ms=round(seconds * 1000, 1),
            )
        return response


def _describe(span: Any, request: HttpRequest, response: HttpResponse, name: str) -> None:
    """What a request was about, by ids and names alone: paths and queries may hold what is nobody's business."""
    span.rename(name)
    values = request.resolver_match.kwargs if request.resolver_match else {}
    span.set(
        request_id=context.request_id(),
        status=response.status_code,
        user_id=getattr(getattr(request, "user", None), "id", None),
        order_id=values.get("order_id"),
    )
    if response.status_code >= 500:
        span.fail(str(response.status_code))


def _too_late() -> HttpResponse:
    # The problem documents stand above this module.
    from shared_lib.api.problems import problem, problem_response

    document = problem(503, "service_unavailable", detail="The service was too busy to answer in time.")
    return problem_response(document, {"Retry-After": "1"})


def _deadline(request: HttpRequest) -> float | None:
    """The caller's deadline in Unix seconds; a malformed one or one in the far future is ignored."""
    try:
        deadline = float(request.META["HTTP_X_REQUEST_DEADLINE"])
    except (KeyError, ValueError):
        return None
    return deadline if deadline - time.time() < 3600 else None
