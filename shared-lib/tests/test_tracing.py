"""Spans, as a collector gets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.db.backends.signals import connection_created
from django.test import RequestFactory
from effects.models import Chore
from effects.support import stock_changed

from shared_lib.events import publish
from shared_lib.events.bus import Outgoing
from shared_lib.events.envelope import encode, wrap
from shared_lib.events.traces import processing, sending
from shared_lib.inbox.store import Incoming
from shared_lib.jobs import working_on
from shared_lib.jobs.rows import claim_due
from shared_lib.observability import context, tracing
from shared_lib.observability.middleware import RequestContextMiddleware
from shared_lib.outbox.models import OutboxEvent

PARENT = "b7ad6b7169203331"
Span = dict[str, Any]


class Collector:
    """Takes OTLP as JSON, and forgets nothing."""

    def __init__(self) -> None:
        self.received: list[Span] = []
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for group in document["resourceSpans"]:
                    assert {"key": "service.name", "value": {"stringValue": "svc-catalog"}} in group[
                        "resource"
                    ]["attributes"]
                    received.extend(span for scope in group["scopeSpans"] for span in scope["spans"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing: the tests look at `received`."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, traceparent: str) -> dict[str, Span]:
        """The spans of a trace by name, attributes as a plain dict."""
        tracing.flush()
        found = {}
        for span in self.received:
            if span["traceId"] == traceparent[3:35]:
                attributes = {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}
                found[span["name"]] = {**span, "attributes": attributes}
        return found


@pytest.fixture(scope="session")
def server() -> Iterator[Collector]:
    """One for the whole run: the exporter of a process is made once, for one address."""
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def collector(server: Collector) -> Iterator[Collector]:
    before = settings.OTEL_EXPORTER_OTLP_ENDPOINT
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = f"http://127.0.0.1:{server.server.server_port}"
    tracing.start()
    yield server
    tracing._exporting = False
    connection_created.disconnect(dispatch_uid="shared_lib.observability.sql")
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = before


@pytest.fixture
def trace(collector: Collector) -> str:
    """A unit of work that is sampled."""
    made = f"00-{uuid4().hex}-{PARENT}-01"
    context.begin(request_id="request-1", traceparent=made)
    return made


def test_without_a_sampled_trace_nothing_of_opentelemetry_is_loaded() -> None:
    script = """
import os, sys
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
import django
django.setup()
from shared_lib.observability import context, tracing
context.begin()
assert tracing.exporting()
with tracing.span("one") as span:
    assert not span
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", script], check=True, env=env)


def test_spans_hang_below_each_other_and_what_is_called_inside_is_told_of_the_innermost(
    collector: Collector, trace: str
) -> None:
    with tracing.span("outer", "server"):
        with tracing.span("inner", "client", {"a": 1, "nothing": None}):
            called = context.traceparent()
        tracing.note(order_id="1")
    assert context.traceparent() == trace
    spans = collector.of(trace)
    assert spans["outer"]["parentSpanId"] == PARENT
    assert spans["inner"]["parentSpanId"] == spans["outer"]["spanId"]
    assert called == f"{trace[:36]}{spans['inner']['spanId']}-01"
    assert (spans["outer"]["kind"], spans["inner"]["kind"]) == (2, 3)
    assert spans["inner"]["attributes"] == {"a": "1"}
    assert spans["outer"]["attributes"] == {"shop.order_id": "1"}


def test_an_error_is_told_by_its_name_alone(collector: Collector, trace: str) -> None:
    with pytest.raises(ValueError, match="ann"), tracing.span("fails"):
        raise ValueError("Key (email)=(ann@example.com) already exists.")
    span = collector.of(trace)["fails"]
    assert span["status"] == {"code": 2, "message": "ValueError"}
    assert "ann@example.com" not in json.dumps(collector.received)


@pytest.mark.django_db(transaction=True)
def test_statements_and_commits_are_spans_without_values(collector: Collector, trace: str) -> None:
    connection.close()
    with tracing.span("work"), transaction.atomic():
        Chore.objects.create(name="a secret name")
        assert not Chore.objects.filter(name="another secret").exists()
    spans = collector.of(trace)
    inserted = spans["INSERT effects_chore"]
    assert inserted["parentSpanId"] == spans["work"]["spanId"] == spans["COMMIT"]["parentSpanId"]
    assert "%s" in inserted["attributes"]["db.query.text"]
    assert "SELECT effects_chore" in spans
    assert "secret" not in json.dumps(collector.received)


def test_a_request_is_a_span_that_tells_neither_path_nor_query(collector: Collector) -> None:
    trace = f"00-{uuid4().hex}-{PARENT}-01"
    request = RequestFactory().get("/secret-path?token=secret", headers={"traceparent": trace})
    from django.http import HttpResponse

    RequestContextMiddleware(lambda _: HttpResponse(status=503))(request)
    span = collector.of(trace)["GET unknown"]
    assert (span["parentSpanId"], span["kind"], span["status"]["code"]) == (PARENT, 2, 2)
    assert span["attributes"]["shop.status"] == "503"
    assert "secret" not in json.dumps(span)


@pytest.mark.django_db(transaction=True)
def test_an_event_is_published_sent_and_processed_in_one_line(collector: Collector, trace: str) -> None:
    with transaction.atomic():
        event = stock_changed()
        publish(event, subject=event.variant_id)
    row = OutboxEvent.objects.get()
    with sending([Outgoing(row.id, row.type, row.body.encode())]) as (outgoing,):
        pass
    message = Incoming(row.envelope, row.body, sent_by=outgoing.traceparent)
    with processing([message]):
        assert context.request_id() == "request-1"
    spans = collector.of(trace)
    published, sent = spans["publish stock.changed.v1"], spans["send stock.changed.v1"]
    assert published["parentSpanId"] == PARENT
    assert sent["parentSpanId"] == published["spanId"]
    assert spans["process stock.changed.v1"]["parentSpanId"] == sent["spanId"]
    assert (published["kind"], sent["kind"]) == (4, 4)


def test_in_a_batch_every_sampled_message_has_a_span_in_its_own_trace(collector: Collector) -> None:
    traces = [f"00-{uuid4().hex}-{PARENT}-0{flag}" for flag in (0, 1, 1)]
    run = []
    for trace in traces:
        event = stock_changed()
        envelope = wrap(event, subject=str(event.variant_id), traceparent=trace, request_id="request-9")
        run.append(Incoming(envelope, encode(envelope).decode()))
    with processing(run):
        assert context.traceparent()[:35] == traces[1][:35]
    assert collector.of(traces[0]) == {}
    for trace in traces[1:]:
        assert collector.of(trace)["process stock.changed.v1"]["parentSpanId"] == PARENT


@pytest.mark.django_db(transaction=True)
def test_a_row_of_a_job_goes_on_with_the_trace_of_the_request_that_wrote_it(
    collector: Collector, trace: str
) -> None:
    Chore.objects.create(name="one")
    context.begin(request_id="sweeper-1")
    (row,) = claim_due(Chore.objects.all(), limit=1)
    with working_on(row) as attempt:
        assert context.request_id() == "request-1"
        attempt.fail()
    assert context.request_id() == "sweeper-1"
    span = collector.of(trace)["job effects.chore"]
    assert (span["parentSpanId"], span["status"]["code"]) == (PARENT, 2)


def test_a_collector_that_is_away_is_asked_now_and_then_and_never_waited_for() -> None:
    from opentelemetry.sdk.trace import TracerProvider

    from shared_lib.observability.metrics import SPANS
    from shared_lib.observability.otlp import JsonExporter

    exporter = JsonExporter("http://127.0.0.1:9")
    span = TracerProvider().get_tracer("test").start_span("lost")
    span.end()
    dropped = SPANS.labels("dropped")._value.get()
    began = time.monotonic()
    for _ in range(1000):
        exporter.export([span])  # type: ignore[list-item]
    assert time.monotonic() - began < 2
    assert SPANS.labels("dropped")._value.get() == dropped + 1000
