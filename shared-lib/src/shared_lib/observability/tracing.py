"""Spans of what is sampled, sent to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names.

A service never begins a trace: the gateway decides which requests are sampled and says so in `traceparent`, which goes along
with every call, event, hint and row of a job (`shared_lib.observability.context`). Where it says no, or there is no collector,
`span` costs one look at a string and OpenTelemetry is not even imported.

No span holds a secret, an address, the value of an SQL parameter or the text of an error: attributes are ids and names.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from shared_lib.observability import context

if TYPE_CHECKING:
    from shared_lib.observability.spans import Detached, Span

Kind = Literal["internal", "server", "client", "producer", "consumer"]
#: What `make trace ORDER=` looks for.
ORDER_ID, ORDER_NUMBER = "shop.order_id", "shop.order_number"

_exporting = False


class _Nothing:
    """The span of work that is not sampled: false, and deaf."""

    def __bool__(self) -> Literal[False]:
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def set(self, **attributes: Any) -> None:
        pass

    def rename(self, name: str) -> None:
        pass

    def fail(self, reason: str) -> None:
        pass


_NOTHING = _Nothing()


def start() -> None:
    """Spans of this process are kept from now on, SQL statements among them. Called once, when there is a collector."""
    global _exporting
    _exporting = True
    from shared_lib.observability import metrics, sql  # noqa: F401  so that the count of spans is there before the first one

    sql.trace_statements()


def exporting() -> bool:
    """Whether there is a collector."""
    return _exporting


def sampled() -> bool:
    """Whether spans of the work at hand are kept."""
    return _exporting and context.is_sampled(context.traceparent())


def wanted(traceparent: str) -> bool:
    """Whether spans of the trace `traceparent` are kept."""
    return _exporting and context.is_sampled(traceparent)


def span(name: str, kind: Kind = "internal", attributes: dict[str, Any] | None = None) -> Span | _Nothing:
    """`with span("POST svc-cart", "client"):` is a span of the work at hand, and the parent of what is called inside.

    Attributes whose value is None are left out. An exception that leaves the block is noted by its type alone.
    """
    if not (_exporting and context.is_sampled(context.traceparent())):
        return _NOTHING
    from shared_lib.observability.spans import Span

    return Span(name, kind, attributes)


def detached(traceparent: str, name: str, kind: Kind, attributes: dict[str, Any] | None = None) -> Detached:
    """A span below `traceparent`, which is `wanted`, that begins now and changes nothing for this thread; `end()` it."""
    from shared_lib.observability.spans import Detached

    return Detached(traceparent, name, kind, attributes)


def note(**attributes: Any) -> None:
    """Adds attributes to the span at hand, if there is one: `note(order_id=...)` is the attribute `shop.order_id`."""
    if sampled():
        from shared_lib.observability.spans import Span

        Span.note(attributes)


def flush(seconds: float = 1.0) -> None:
    """Sends what is still kept, for at most so long. For a process that ends without the interpreter's own end."""
    if _exporting:
        import sys

        if spans := sys.modules.get("shared_lib.observability.spans"):
            spans.flush(seconds)
