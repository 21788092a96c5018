"""Run by the local stack: `python -m mail`. Settings: MAIL_HOST, MAIL_SMTP_PORT, MAIL_WEB_PORT, MAIL_FOLDER."""

import asyncio
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.smtp import SMTP, Envelope, Session

from mail import pages
from mail.store import Store

LARGEST_MESSAGE = 10 * 1024 * 1024


class Inbox:
    """What the SMTP server does with a message. An OSError becomes a 5xx answer, and the sender keeps the message."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002
        content = envelope.original_content or b""
        await asyncio.to_thread(self._store.add, envelope.mail_from or "", list(envelope.rcpt_tos), content)
        return "250 Message kept"


def web_handler(store: Store) -> type[BaseHTTPRequestHandler]:
    """A request handler class over `store`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # noqa: N802
            url = urlsplit(self.path)
            match [part for part in url.path.split("/") if part]:
                case []:
                    self._send(200, "text/html", pages.overview(store.list()))
                case ["mail.js"]:
                    self._send(200, "text/javascript", pages.SCRIPT)
                case ["healthz"]:
                    self._json(200, {"status": "ok"})
                case ["messages", name] if message := store.get(name):
                    self._send(200, "text/html", pages.detail(message))
                case ["api", "messages"]:
                    recipient = parse_qs(url.query).get("to", [None])[0]
                    self._json(200, {"results": store.list(recipient)})
                case ["api", "messages", name] if message := store.get(name):
                    self._json(200, message)
                case _:
                    self._missing()

        def do_DELETE(self) -> None:  # noqa: N802
            match [part for part in urlsplit(self.path).path.split("/") if part]:
                case ["api", "messages"]:
                    store.clear()
                    self._send(204, None, "")
                case ["api", "messages", name] if store.delete(name):
                    self._send(204, None, "")
                case _:
                    self._missing()

        def _missing(self) -> None:
            problem = {"type": "about:blank", "title": "Not found", "status": 404, "code": "not_found"}
            self._send(404, "application/problem+json", json.dumps(problem))

        def _json(self, status: int, content: Any) -> None:
            self._send(status, "application/json", json.dumps(content))

        def _send(self, status: int, content_type: str | None, text: str) -> None:
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
            """Say nothing: the page is looked at by tests that poll it."""

    return Handler


async def serve(store: Store, host: str, smtp_port: int, web_port: int) -> None:
    """Listen on both ports until the process ends."""
    web = ThreadingHTTPServer((host, web_port), web_handler(store))
    threading.Thread(target=web.serve_forever, name="web", daemon=True).start()
    inbox = Inbox(store)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(inbox, data_size_limit=LARGEST_MESSAGE, enable_SMTPUTF8=True, hostname="mail.localhost"),
        host,
        smtp_port,
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(
        serve(
            Store(Path(os.environ["MAIL_FOLDER"])),
            os.environ["MAIL_HOST"],
            int(os.environ["MAIL_SMTP_PORT"]),
            int(os.environ["MAIL_WEB_PORT"]),
        )
    )
