"""Spans through OpenTelemetry's SDK. Imported with the first sampled piece of work of a process, never before."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Self

from django.conf import settings
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace.status import Status, StatusCode

from shared_lib.observability import context, expose
from shared_lib.observability.otlp import JsonExporter

_KINDS = {kind.name.lower(): kind for kind in SpanKind}


def _provider() -> TracerProvider:
    resource = Resource(
        {
            "service.name": settings.SERVICE_NAME,
            "service.version": settings.SERVICE_VERSION,
            "deployment.environment.name": settings.ENVIRONMENT,
            "shop.process": expose.process(),
            "process.pid": os.getpid(),
        }
    )
    # Nothing is waited for: what does not fit into the queue is dropped by the SDK, what cannot be sent by the exporter.
    provider = TracerProvider(sampler=ParentBased(ALWAYS_OFF), resource=resource)
    provider.add_span_processor(
        BatchSpanProcessor(
            JsonExporter(settings.OTEL_EXPORTER_OTLP_ENDPOINT),
            max_queue_size=8192,
            max_export_batch_size=512,
            schedule_delay_millis=500,
        )
    )
    return provider


_PROVIDER = _provider()
_tracer = _PROVIDER.get_tracer("shared_lib")
_current: ContextVar[Span | None] = ContextVar("span", default=None)


def _parent(traceparent: str) -> Context:
    parent = SpanContext(
        int(traceparent[3:35], 16), int(traceparent[36:52], 16), True, TraceFlags(TraceFlags.SAMPLED)
    )
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _clean(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Attributes as the SDK takes them: ids as text, nothing that is None."""
    return {
        name: value if isinstance(value, str | bool | int | float) else str(value)
        for name, value in (attributes or {}).items()
        if value is not None
    }


class _Recording:
    """One span from its start on."""

    def __init__(self, traceparent: str, name: str, kind: str, attributes: Mapping[str, Any] | None) -> None:
        self._span = _tracer.start_span(
            name, _parent(traceparent), _KINDS[kind], _clean(attributes), record_exception=False
        )
        made = self._span.get_span_context()
        self.traceparent = f"00-{made.trace_id:032x}-{made.span_id:016x}-01"

    def set(self, **attributes: Any) -> None:
        self._span.set_attributes(_clean({f"shop.{name}": value for name, value in attributes.items()}))

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, reason: str) -> None:
        """`reason` is a name or a status: never the text of an error, which may hold values."""
        self._span.set_status(Status(StatusCode.ERROR, reason))


class Detached(_Recording):
    """A span that is nobody's surroundings."""

    def end(self, failure: str = "") -> None:
        if failure:
            self.fail(failure)
        self._span.end()


class Span:
    """A span around a block of code, which is the parent of all that the block calls."""

    _made: _Recording
    _token: Token[str]
    _outer: Token[Span | None]

    def __init__(self, name: str, kind: str, attributes: Mapping[str, Any] | None) -> None:
        self._arguments = name, kind, attributes

    def __enter__(self) -> Self:
        self._made = _Recording(context.traceparent(), *self._arguments)
        self._token = context.enter_span(self._made.traceparent)
        self._outer = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._made.fail(kind.__name__)
        _current.reset(self._outer)
        context.leave_span(self._token)
        self._made._span.end()

    def set(self, **attributes: Any) -> None:
        self._made.set(**attributes)

    def rename(self, name: str) -> None:
        self._made.rename(name)

    def fail(self, reason: str) -> None:
        self._made.fail(reason)

    @staticmethod
    def note(attributes: Mapping[str, Any]) -> None:
        """To the innermost span of this thread."""
        current = _current.get()
        if current is not None:
            current.set(**attributes)


def flush(seconds: float) -> None:
    _PROVIDER.force_flush(int(seconds * 1000))
