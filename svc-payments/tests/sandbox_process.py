"""The real sandbox provider as a process of the test session, and a receiver for what it sends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import httpx
import orjson

_T = TypeVar("_T")

API_KEY = "test-api-key"
WEBHOOK_SECRET = "test-webhook-secret"
PUBLIC_URL = "http://shop.test/dev/payments"
SETTLE_SECONDS = 0.4

SERVICE_FOLDER = Path(__file__).parents[1]


def wait_for(look: Callable[[], _T], *, seconds: float = 10.0) -> _T:
    """The first true value of `look`; fails the test when there is none in time."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Receiver:
    """Takes webhooks. `status` is what it answers; `taken` all that it answered with 2xx, as (headers, body)."""

    def __init__(self) -> None:
        self.status = 200
        self.tries = 0
        self.taken: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.tries += 1
                status = receiver.status
                if status == 200:
                    receiver.taken.append((dict(self.headers), body))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhooks"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def of(self, reference: str, kind: str = "") -> list[tuple[dict[str, str], bytes]]:
        """The webhooks about one intent or refund, of one type if `kind` is given."""
        events = [(orjson.loads(body), headers, body) for headers, body in list(self.taken)]
        return [
            (headers, body)
            for event, headers, body in events
            if reference in (event["data"]["object"].get("id"), event["data"]["object"].get("payment_intent"))
            and event["type"].endswith(kind)
        ]

    def wait_for(self, reference: str, kind: str = "") -> tuple[dict[str, str], bytes]:
        return wait_for(lambda: self.of(reference, kind))[-1]


class SandboxProcess:
    """`python -m sandbox` on a free port, with a state of its own in `folder`."""

    def __init__(self, folder: Path, receiver: Receiver, **environment: str) -> None:
        self.receiver = receiver
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = folder / "state" / "sandbox.sqlite3"
        self.environment = {
            **os.environ,
            "ENVIRONMENT": "test",
            "SANDBOX_DATABASE": str(self.database),
            "SANDBOX_API_KEY": API_KEY,
            "SANDBOX_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "SANDBOX_WEBHOOK_URL": receiver.url,
            "SANDBOX_PUBLIC_URL": PUBLIC_URL,
            "SANDBOX_SETTLE_SECONDS": str(SETTLE_SECONDS),
            "SANDBOX_WEBHOOK_SECONDS": "0",
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            **environment,
        }
        self.http = httpx.Client(
            base_url=self.url, headers={"authorization": f"Bearer {API_KEY}"}, trust_env=False, timeout=10
        )
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sandbox"], cwd=SERVICE_FOLDER, env=self.environment
        )
        wait_for(self._answers, seconds=20)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=10)
        self.http.close()

    def _answers(self) -> bool:
        assert self.process.poll() is None, "the sandbox ended"
        try:
            return self.http.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    # What a merchant calls

    def post(self, path: str, body: Any = None, *, key: str = "") -> httpx.Response:
        return self.http.post(path, json=body, headers={"idempotency-key": key} if key else {})

    def intent(self, reference: str) -> dict[str, Any]:
        intent: dict[str, Any] = self.http.get(f"/v1/payment_intents/{reference}").json()
        return intent

    # What a buyer does on the 3-D Secure page

    def answer_challenge(self, page_url: str, outcome: str) -> httpx.Response:
        return self.http.post(page_url.removeprefix(PUBLIC_URL), data={"outcome": outcome})
