"""Health and metrics of the `events` process over HTTP: /healthz, /readyz, /metrics."""

from __future__ import annotations

from http.server import ThreadingHTTPServer

from marshmallow.validate import Range

from shared_lib.events.process import EventsProcess
from shared_lib.observability import expose
from shared_lib.settings import env


def health_port() -> int | None:
    """Where health and metrics are served, if anywhere. Raises `ImproperlyConfigured`."""
    port: int | None = env.int(
        "EVENTS_HEALTH_PORT",
        None,
        validate=Range(min=1, max=65535),
        only="events",
        help="where its health and metrics are served; nowhere if unset",
    )
    return port


def serve(process: EventsProcess, host: str, port: int) -> ThreadingHTTPServer:
    """Serves in a thread of its own. Raises `OSError` when the port is taken."""
    return expose.serve(
        host,
        port,
        {
            "/healthz": lambda: (200 if process.alive else 503, _states(process)),
            "/readyz": lambda: (200 if process.ready else 503, _states(process)),
        },
    )


def _states(process: EventsProcess) -> bytes:
    lines = [
        f"{loop.name}: {'ready' if loop.pulse.ready else 'not ready'}, moved {loop.pulse.silent_for():.1f} s ago\n"
        for loop in process.loops
    ]
    return "".join(lines).encode()
