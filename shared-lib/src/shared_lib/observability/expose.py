"""Metrics of a process as Prometheus reads them, and the small HTTP server of processes that have no other.

A web process with several workers keeps its metrics in files that all of them share (PROMETHEUS_MULTIPROC_DIR, which
`shared_lib.server` sets), so that it does not matter which worker is asked.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    disable_created_metrics,
    generate_latest,
)

# One series less for each counter and histogram; nobody asks when they began.
disable_created_metrics()  # type: ignore[no-untyped-call]

#: Status and text of an answer.
Answer = tuple[int, bytes]

_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
_LIVE_FILE = re.compile(r"gauge_live\w+_(\d+)\.db")

_measures: list[Callable[[], None]] = []


def process() -> str:
    """Which process of the service this is: web, events, worker or beat; empty for a command."""
    return os.environ.get("SHOP_PROCESS", "")


def before_scrape(measure: Callable[[], None]) -> None:
    """`measure` sets gauges whenever this process is asked. It never raises: what it cannot know it sets to NaN."""
    if measure not in _measures:
        _measures.append(measure)


def metrics() -> bytes:
    """All there is to tell, in Prometheus' text format."""
    for measure in _measures:
        measure()
    if _DIRECTORY not in os.environ:
        return generate_latest(REGISTRY)
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def share_between_workers() -> None:
    """Called by the master before it becomes the web server: a folder for the metrics of all its workers.

    It is named by the master's pid, since two generations of a web may run side by side; folders of masters that are gone go.
    """
    prefix = f"shop-metrics-{os.getuid()}-"
    for old in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        if not Path("/proc", old.name.removeprefix(prefix)).exists():
            shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.gettempdir()) / f"{prefix}{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    os.environ[_DIRECTORY] = str(folder)


def forget_dead_workers() -> None:
    """What a worker that is gone had open is open no more. What it counted stays counted."""
    if _DIRECTORY not in os.environ:
        return
    for path in Path(os.environ[_DIRECTORY]).glob("gauge_live*.db"):
        match = _LIVE_FILE.fullmatch(path.name)
        if match and not Path(f"/proc/{match[1]}").exists():
            path.unlink(missing_ok=True)


def serve(
    host: str, port: int, more: Mapping[str, Callable[[], Answer]] | None = None
) -> ThreadingHTTPServer:
    """Answers /metrics, /healthz and what `more` names, in threads of its own. Raises `OSError` when the port is taken."""
    answers: dict[str, Callable[[], Answer]] = {"/healthz": lambda: (200, b"ok\n"), **(more or {})}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._send(200, metrics(), CONTENT_TYPE_LATEST)
            elif self.path in answers:
                self._send(*answers[self.path]())
            else:
                self._send(404, b"not found\n")

        def _send(self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Probes are not worth a line."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
