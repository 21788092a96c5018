"""Prometheus metrics of requests, calls and spans."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

HTTP_REQUESTS = Counter("shop_http_requests_total", "Requests answered", ["method", "route", "status"])
HTTP_SECONDS = Histogram(
    "shop_http_request_seconds",
    "Time to answer a request",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
SPANS = Counter("shop_trace_spans_total", "Spans by whether the collector took them", ["outcome"])
REQUESTS_TOO_LATE = Counter(
    "shop_http_requests_too_late_total", "Requests whose deadline had passed when a thread took them"
)
UPSTREAM_SECONDS = Histogram(
    "shop_upstream_request_seconds",
    "Time of a call to another service",
    ["callee", "outcome"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
