"""What the catcher answers over HTTP: pages for people, JSON for tests."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mail import pages
from mail.store import Store

#: Status, content type and text.
Answer = tuple[int, str, str]
NOT_FOUND: Answer = (
    404,
    "application/problem+json",
    json.dumps({"type": "about:blank", "title": "Not found", "status": 404, "code": "not_found"}),
)


def _json(content: Any) -> Answer:
    return 200, "application/json", json.dumps(content)


def get(store: Store, target: str) -> Answer:
    """The answer to GET of a path with its query."""
    url = urlsplit(target)
    match url.path.strip("/").split("/"):
        case [""]:
            return 200, "text/html", pages.overview(store.list())
        case ["mail.js"]:
            return 200, "text/javascript", pages.SCRIPT
        case ["healthz"]:
            return _json({"status": "ok"})
        case ["messages", name] if message := store.get(name):
            return 200, "text/html", pages.detail(message)
        case ["api", "messages"]:
            return _json({"results": store.list(parse_qs(url.query).get("to", [None])[0])})
        case ["api", "messages", name] if message := store.get(name):
            return _json(message)
    return NOT_FOUND


def delete(store: Store, target: str) -> Answer:
    """The answer to DELETE: of all messages, or of one."""
    match urlsplit(target).path.strip("/").split("/"):
        case ["api", "messages"]:
            store.clear()
            return 204, "", ""
        case ["api", "messages", name] if store.delete(name):
            return 204, "", ""
    return NOT_FOUND


class Web(ThreadingHTTPServer):
    """The HTTP server over one store."""

    def __init__(self, address: tuple[str, int], store: Store) -> None:
        self.store = store
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Web

    def do_GET(self) -> None:
        self._send(get(self.server.store, self.path))

    def do_DELETE(self) -> None:
        self._send(delete(self.server.store, self.path))

    def _send(self, answer: Answer) -> None:
        status, content_type, text = answer
        body = text.encode(errors="replace")
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", f"{content_type}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", pages.SAFETY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Say nothing: tests poll."""
