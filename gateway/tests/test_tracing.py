"""Spans of the gateway: which requests have one, what it says, and what a collector that is away costs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import http
from tests.support.gateway import Gateway, render
from tests.support.ports import free_port
from tests.support.services import Answer, Services

PRODUCTS, ORDERS = "/api/v1/catalog/products", "/api/v1/orders"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
Attributes = dict[str, Any]


class Collector:
    """Takes OTLP as JSON, and forgets nothing."""

    def __init__(self) -> None:
        self.port = free_port()
        self.spans: list[dict[str, Any]] = []
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                (group,) = document["resourceSpans"]
                assert self.path == "/v1/traces"
                assert group["resource"]["attributes"][0]["value"] == {"stringValue": "gateway"}
                spans.extend(group["scopeSpans"][0]["spans"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing: the tests look at `spans`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def of(self, request_id: str, seconds: float = 6.0) -> tuple[dict[str, Any], Attributes]:
        """The span of a request, with its attributes by name."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for span in list(self.spans):
                found = {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}
                if found["shop.request_id"] == request_id:
                    return span, found
            time.sleep(0.05)
        raise AssertionError(f"no span of request {request_id}")


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def tracing(
    tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], collector: Collector
) -> Iterator[Gateway]:
    """A gateway that samples what clients ask for, and nothing else."""
    more = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}", "TRACE_RATIO": "0"}
    started = Gateway(tmp_path_factory.mktemp("tracing"), {**environment, **more}).start()
    started.wait_until_keys_are_read()
    yield started
    started.stop()


def test_a_sampled_request_has_a_span_between_the_client_and_the_service(
    tracing: Gateway, collector: Collector, services: Services, address: str
) -> None:
    headers = {"X-Forwarded-For": address, "traceparent": f"00-{TRACE}-{PARENT}-01"}
    answer = http.get(f"{tracing.url}{PRODUCTS}?q=secret-words", headers=headers)
    span, attributes = collector.of(answer.headers["X-Request-Id"])

    assert (span["traceId"], span["parentSpanId"]) == (TRACE, PARENT)
    assert services.last.headers["traceparent"] == [f"00-{TRACE}-{span['spanId']}-01"]
    assert span["name"] == f"GET {PRODUCTS}"
    assert attributes["http.route"] == PRODUCTS
    assert attributes["http.response.status_code"] == "200"
    assert attributes["shop.upstream"] == "svc-catalog"
    assert 0 <= int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"]) < 5e9
    assert abs(int(span["startTimeUnixNano"]) / 1e9 - time.time()) < 10
    assert "secret-words" not in json.dumps(span)


def test_what_is_refused_at_the_edge_has_a_span_too_and_no_token_in_it(
    tracing: Gateway, collector: Collector, address: str
) -> None:
    headers = {
        "X-Forwarded-For": address,
        "traceparent": f"00-{TRACE}-{PARENT}-01",
        "Authorization": "Bearer what-a-secret",
    }
    answer = http.get(f"{tracing.url}{ORDERS}", headers=headers)
    span, attributes = collector.of(answer.headers["X-Request-Id"])

    assert answer.status_code == 401
    assert attributes["http.response.status_code"] == "401"
    assert attributes["shop.problem"] == "invalid_token"
    assert "what-a-secret" not in json.dumps(span)


def test_a_service_that_fails_makes_an_error_of_the_span(
    tracing: Gateway, collector: Collector, services: Services, address: str
) -> None:
    services["svc-catalog"].answer = lambda _: Answer(status=500)
    headers = {"X-Forwarded-For": address, "traceparent": f"00-{TRACE}-{PARENT}-01"}
    answer = http.get(f"{tracing.url}{PRODUCTS}", headers=headers)
    span, _ = collector.of(answer.headers["X-Request-Id"])

    assert span["status"]["code"] == 2


@pytest.mark.parametrize("context", [None, f"00-{TRACE}-{PARENT}-00", "rubbish"])
def test_what_is_not_sampled_has_no_span_and_says_so(
    tracing: Gateway, collector: Collector, services: Services, address: str, context: str | None
) -> None:
    headers = {"X-Forwarded-For": address} | ({"traceparent": context} if context else {})
    answer = http.get(f"{tracing.url}{PRODUCTS}", headers=headers)
    marker = {"X-Forwarded-For": address, "traceparent": f"00-{TRACE}-{PARENT}-01"}
    collector.of(http.get(f"{tracing.url}{PRODUCTS}", headers=marker).headers["X-Request-Id"])

    assert (services.seen[0].header("traceparent") or "").endswith("-00")
    with pytest.raises(AssertionError, match="no span"):
        collector.of(answer.headers["X-Request-Id"], seconds=0.6)


def test_by_the_ratio_requests_begin_traces_of_their_own(
    tmp_path: Path, environment: dict[str, str], collector: Collector, services: Services, address: str
) -> None:
    more = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}", "TRACE_RATIO": "1"}
    started = Gateway(tmp_path, {**environment, **more}).start()
    try:
        answer = http.get(f"{started.url}{PRODUCTS}", headers={"X-Forwarded-For": address})
        span, _ = collector.of(answer.headers["X-Request-Id"])
    finally:
        started.stop()

    assert span["parentSpanId"] == ""
    assert span["traceId"] == answer.headers["X-Request-Id"]
    assert services.last.header("traceparent") == f"00-{span['traceId']}-{span['spanId']}-01"


def test_a_collector_that_is_away_costs_its_spans_and_nothing_else(
    tmp_path: Path, environment: dict[str, str], services: Services, address: str
) -> None:
    more = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}", "TRACE_RATIO": "1"}
    started = Gateway(tmp_path, {**environment, **more}).start()
    try:
        with http.session(base_url=started.url, headers={"X-Forwarded-For": address}) as client:
            assert [client.get(PRODUCTS).status_code for _ in range(20)] == [200] * 20
        started.wait_for_metric('gateway_trace_spans_total{outcome="dropped"}', lambda value: value == 20)
    finally:
        started.stop()


def test_in_prod_clients_have_no_say(tmp_path: Path, environment: dict[str, str]) -> None:
    prod = {
        **Gateway(tmp_path, environment).environment,
        "ENVIRONMENT": "prod",
        "TRUSTED_PROXIES": "none",
        "GATEWAY_USER": "root",
        "PUBLIC_BASE_URL": "https://shop.example.com",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://nowhere.invalid:4318",
    }
    result = render(prod)
    assert result.returncode == 0, result.stderr
    written = (tmp_path / "settings.lua").read_text()
    assert "trace_clients = false" in written
    assert "trace_ratio = 0.01" in written


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRACE_RATIO", "2"),
        ("TRACE_RATIO", "-0.1"),
        ("TRACE_RATIO", "all"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "nonsense with spaces"),
    ],
)
def test_a_setting_that_makes_no_sense_is_told(
    tmp_path: Path, environment: dict[str, str], name: str, value: str
) -> None:
    result = render({**Gateway(tmp_path, environment).environment, name: value})
    assert result.returncode == 1
    assert name in result.stderr


def test_a_client_without_a_say_can_not_have_itself_traced(client: httpx.Client, services: Services) -> None:
    """Where there is no collector, the flag of the client stops at the gateway."""
    client.get(PRODUCTS, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    assert services.last.headers["traceparent"] == [f"00-{TRACE}-{PARENT}-00"]
