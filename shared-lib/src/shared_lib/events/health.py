"""Health and metrics of the `events` process over HTTP: /healthz, /readyz, /metrics."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from marshmallow.validate import Range
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from shared_lib.events.process import EventsProcess
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

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match self.path:
                case "/healthz":
                    self._answer(200 if process.alive else 503, _states(process))
                case "/readyz":
                    self._answer(200 if process.ready else 503, _states(process))
                case "/metrics":
                    self._answer(200, generate_latest(), CONTENT_TYPE_LATEST)
                case _:
                    self._answer(404, b"not found\n")

        def _answer(self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Probes are not worth a line."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


def _states(process: EventsProcess) -> bytes:
    lines = [
        f"{loop.name}: {'ready' if loop.pulse.ready else 'not ready'}, moved {loop.pulse.silent_for():.1f} s ago\n"
        for loop in process.loops
    ]
    return "".join(lines).encode()
