"""Spans as OTLP/JSON over HTTP, with what the services have anyway.

OpenTelemetry's own exporter takes protobuf, requests and the generated messages along: 8 MB of an image and 12 MB of each
process for one POST. Collectors take JSON at the same address.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

import httpx
import orjson
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from shared_lib.observability.metrics import SPANS

TIMEOUT_SECONDS = 2.0
# After a failure the next batches are dropped unasked for so long.
PAUSE_SECONDS = 10.0

log = logging.getLogger(__name__)


class JsonExporter(SpanExporter):
    """POSTs batches to `endpoint`/v1/traces, in the thread of the batch processor. What cannot be sent is dropped and counted."""

    def __init__(self, endpoint: str) -> None:
        self._url = f"{endpoint}/v1/traces"
        self._http = httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False)
        self._resting_until = 0.0
        self._lock = threading.Lock()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._lock:
            taken = time.monotonic() >= self._resting_until and self._post(spans)
        SPANS.labels("sent" if taken else "dropped").inc(len(spans))
        # The SDK would only log a failure, with a traceback each time.
        return SpanExportResult.SUCCESS

    def _post(self, spans: Sequence[ReadableSpan]) -> bool:
        try:
            answer = self._http.post(
                self._url,
                content=orjson.dumps(encode(spans)),
                headers={"Content-Type": "application/json"},
            )
            answer.raise_for_status()
        except (httpx.HTTPError, OSError) as error:
            log.warning("The collector of traces takes nothing: %s.", type(error).__name__)
            self._resting_until = time.monotonic() + PAUSE_SECONDS
            return False
        return True

    def shutdown(self) -> None:
        self._http.close()


def encode(spans: Sequence[ReadableSpan]) -> dict[str, Any]:
    """An ExportTraceServiceRequest. All spans of a process have one resource."""
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(spans[0].resource.attributes)},
                "scopeSpans": [{"scope": {"name": "shared_lib"}, "spans": [_span(span) for span in spans]}],
            }
        ]
    }


def _span(span: ReadableSpan) -> dict[str, Any]:
    own, parent = span.get_span_context(), span.parent
    return {
        "traceId": f"{own.trace_id:032x}" if own else "",
        "spanId": f"{own.span_id:016x}" if own else "",
        "parentSpanId": f"{parent.span_id:016x}" if parent else "",
        "name": span.name,
        # OTLP counts kinds from 1.
        "kind": span.kind.value + 1,
        "startTimeUnixNano": str(span.start_time),
        "endTimeUnixNano": str(span.end_time),
        "attributes": _attributes(span.attributes or {}),
        "status": {"code": span.status.status_code.value, "message": span.status.description or ""},
    }


def _attributes(attributes: Any) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in attributes.items()]


def _value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
    return {"stringValue": str(value)}


__all__ = ["JsonExporter", "encode"]
