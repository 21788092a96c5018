"""The services behind the gateway, as far as it can see them: HTTP servers that record what reaches them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.ports import free_port

NAMES = ("svc-accounts", "svc-catalog", "svc-cart", "svc-orders", "svc-payments", "svc-notifications")


@dataclass(frozen=True)
class Seen:
    """One request as a service received it. Header names in lower case; a repeated header keeps all its values."""

    service: str
    method: str
    target: str
    headers: dict[str, list[str]]
    body: bytes

    def header(self, name: str) -> str | None:
        values = self.headers.get(name.lower())
        return values[0] if values else None


@dataclass
class Answer:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"fine": true}'
    delay: float = 0.0
    raw: bytes | None = None


class Service:
    """One service on a port of its own. `answer` decides what it says to everything but its key set and readiness."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = free_port()
        self.seen: list[Seen] = []
        self.answer: Callable[[Seen], Answer] = lambda _: Answer()
        self.ready = True
        self.jwks: Callable[[], bytes | None] = lambda: None
        self.jwks_reads = 0
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        if self._server is None:
            self._server = _Server(("127.0.0.1", self.port), _handler(self))
            threading.Thread(
                target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
            ).start()

    def stop(self) -> None:
        """Closes the port and every connection, like a killed process."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.close_connections()
            self._server = None

    def reply(self, seen: Seen) -> Answer:
        if seen.target == "/.well-known/jwks.json":
            document = self.jwks()
            if document is not None:
                self.jwks_reads += 1
                return Answer(body=document, headers={"Content-Type": "application/json"})
        if seen.target == "/readyz":
            problem = json.dumps({"detail": "the database does not answer"}).encode()
            return Answer(body=b"ok") if self.ready else Answer(status=503, body=problem)
        self.seen.append(seen)
        return self.answer(seen)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, *args: Any) -> None:
        self._connections: set[Any] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def close_connections(self) -> None:
        for connection in list(self._connections):
            try:
                connection.shutdown(2)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A gateway that hangs up is part of the tests."""


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = 65536  # head and body in one piece: a kill between them would be half an answer

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers: dict[str, list[str]] = {}
            for name, value in self.headers.items():
                headers.setdefault(name.lower(), []).append(value)
            seen = Seen(
                service.name, self.command, self.path, headers, self.rfile.read(length) if length else b""
            )
            answer = service.reply(seen)
            time.sleep(answer.delay)
            if answer.raw is not None:
                self.wfile.write(answer.raw)
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        def log_message(self, *_: Any) -> None:
            """Nothing: the tests look at `seen`."""

    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", Handler._serve)
    return Handler


class Services:
    def __init__(self) -> None:
        self.by_name = {name: Service(name) for name in NAMES}

    def __getitem__(self, name: str) -> Service:
        return self.by_name[name]

    @property
    def seen(self) -> list[Seen]:
        return [seen for service in self.by_name.values() for seen in service.seen]

    @property
    def last(self) -> Seen:
        (seen,) = self.seen
        return seen

    def start(self) -> None:
        for service in self.by_name.values():
            service.start()

    def stop(self) -> None:
        for service in self.by_name.values():
            service.stop()

    def reset(self) -> None:
        self.start()
        for service in self.by_name.values():
            service.seen.clear()
            service.ready = True
            service.answer = lambda _: Answer()

    def environment(self) -> dict[str, str]:
        return {
            f"SVC_{name.removeprefix('svc-').upper()}_URL": service.url
            for name, service in self.by_name.items()
        }
