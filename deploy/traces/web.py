"""The collector over HTTP: POST /v1/traces takes spans, GET /api/traces answers them."""

import json
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from traces.store import Store, read_otlp

LARGEST = 16 * 1024 * 1024


class Web(ThreadingHTTPServer):
    """The HTTP server over one store."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], store: Store) -> None:
        self.store = store
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Web

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if urlsplit(self.path).path != "/v1/traces":
            return self._send(404, {"message": "Spans go to /v1/traces."})
        if not length.isdecimal() or int(length) > LARGEST:
            self.close_connection = True
            return self._send(413, {"message": f"A body has a Content-Length of at most {LARGEST}."})
        body = self.rfile.read(int(length))
        if "json" not in self.headers.get("Content-Type", ""):
            return self._send(415, {"message": "Only OTLP as JSON is taken here."})
        try:
            if self.headers.get("Content-Encoding") == "gzip":
                body = zlib.decompressobj(31).decompress(body, LARGEST)
            spans = read_otlp(json.loads(body))
        except (ValueError, zlib.error) as error:
            return self._send(400, {"message": str(error)})
        self.server.store.add(spans)
        return self._send(200, {})

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        store = self.server.store
        match (url.path, asked):
            case ("/healthz", _):
                return self._send(200, {"status": "ok", "spans": store.count()})
            case ("/api/traces", {"order": wanted}):
                found = store.of_order(wanted)
            case ("/api/traces", {"request": wanted}):
                found = store.of_request(wanted)
            case ("/api/traces", {"trace": wanted}):
                found = [spans] if (spans := store.trace(wanted)) else []
            case _:
                return self._send(404, {"message": "Ask /api/traces?order=, ?request= or ?trace=."})
        return self._send(200, {"results": found})

    def _send(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Say nothing: every process sends twice a second."""
