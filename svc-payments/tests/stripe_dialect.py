"""The sandbox provider behind Stripe's own interface, for the official SDK: forms in, Stripe's documents out.

What a payment does stays the sandbox's business; this only translates, over real HTTP. So the same tests run over both
providers and look at the same intents.
"""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson
import stripe

from tests.sandbox_process import API_KEY, SandboxProcess

SECRET_KEY = "sk_test_dialect"
WEBHOOK_SECRET = "whsec_dialect"

_MEMBERS = ("amount", "currency", "payment_method", "return_url", "payment_intent", "metadata", "reason")


class StripeDialect:
    """Listens on a port of its own until `close`."""

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.requests: list[tuple[str, str]] = []
        # Stripe counts whole seconds; lists show nothing older than this all the same.
        self.began = 0.0
        dialect = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                form = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                dialect.requests.append((self.command, self.path))
                headers = {"authorization": f"Bearer {API_KEY}"}
                if self.headers["authorization"] != f"Bearer {SECRET_KEY}":
                    headers = {}
                if self.command == "POST":
                    headers["idempotency-key"] = self.headers["idempotency-key"]
                upstream = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=10)
                parts = urlsplit(self.path)
                query = dict(parse_qsl(parts.query))
                wanted = query.pop("payment_intent", "")
                if "created[gte]" in query:
                    query["created[gte]"] = str(max(float(query["created[gte]"]), dialect.began))
                path = parts.path + (f"?{urlencode(query)}" if query and not wanted else "")
                body = orjson.dumps(_body(parts.path, form)) if self.command == "POST" else b""
                upstream.request(self.command, path + ("?limit=100" if wanted else ""), body, headers)
                answer = upstream.getresponse()
                status, document = answer.status, theirs(orjson.loads(answer.read()))
                upstream.close()
                if wanted:
                    document["data"] = [each for each in document["data"] if each["payment_intent"] == wanted]
                content = orjson.dumps(document)
                # A state that does not allow the call is 409 there and 400 here.
                self.send_response(400 if status == 409 else status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = _handle  # noqa: N815 - the names that http.server looks for
            do_POST = _handle  # noqa: N815

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _body(path: str, form: str) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name, value in parse_qsl(form):
        member, _, key = name.partition("[")
        if key:
            body.setdefault(member, {})[key.rstrip("]")] = value
        else:
            body[name] = int(value) if name == "amount" else value
    if "currency" in body:
        body["currency"] = body["currency"].upper()
    if path.endswith("/cancel"):
        return {}
    return {name: value for name, value in body.items() if name in _MEMBERS}


def theirs(document: Any) -> Any:
    """A document of the sandbox as Stripe would write it."""
    match document:
        case dict():
            changed = {name: theirs(value) for name, value in document.items()}
            if isinstance(changed.get("currency"), str):
                changed["currency"] = changed["currency"].lower()
            return changed
        case list():
            return [theirs(each) for each in document]
    return document


def webhook(body: bytes, *, secret: str = WEBHOOK_SECRET) -> tuple[dict[str, str], bytes]:
    """A webhook of the sandbox as Stripe would send it: headers and body."""
    translated = orjson.dumps(theirs(orjson.loads(body)))
    header = stripe.WebhookSignature.generate_signature_header(translated.decode(), secret)
    return {"Stripe-Signature": header}, translated
