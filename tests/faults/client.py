"""A well-behaved client: it repeats what may be repeated, with the same key, and looks at every answer it gets."""

from __future__ import annotations

import random
import time
from typing import Any
from uuid import uuid4

import httpx

from faults.journal import Journal

Json = dict[str, Any]

#: The contract says: a server that is busy, a key or a checkout that is being worked on.
BUSY = frozenset({429, 502, 503, 504})
IN_PROGRESS = frozenset({"idempotency_in_progress", "checkout_in_progress"})
#: Longer than any request may take inside.
TIMEOUT_SECONDS = 20.0
LONGEST_PAUSE_SECONDS = 4.0


class GaveUp(Exception):
    """No final answer within the client's patience; what became of the request is unknown to it."""


class HungUp(Exception):
    """The client closed the connection before the answer came, on purpose."""


class Answer:
    """The last answer to a request. `code` is that of a problem, else empty."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.body: Json = _json(response)
        self.code: str = self.body.get("code", "") if response.is_error else ""

    def __repr__(self) -> str:
        return f"{self.status} {self.code}".strip()


class Client:
    """One person with an address of their own. Safe for several threads at once."""

    def __init__(
        self,
        base_url: str,
        address: str,
        journal: Journal,
        *,
        patience: float,
        access: str = "",
        http: httpx.Client | None = None,
    ) -> None:
        """`patience` is how many seconds the client waits altogether before it gives up. `http` are connections to share with
        others; without, the client has its own."""
        self._http = http or connections(base_url)
        self._address = address
        self._journal = journal
        self.patience = patience
        self._waited = 0.0
        self.access = access

    def close(self) -> None:
        self._http.close()

    def call(
        self,
        what: str,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        key: str | None = None,
        hang_up_after: float | None = None,
    ) -> Answer:
        """Asks until there is a final answer; `what` is the name under which it is counted and timed.

        Raises `GaveUp` when patience ends. `hang_up_after` seconds: does not wait longer for the first answer and raises
        `HungUp`, unless it was quicker.
        """
        began = time.monotonic()
        pause = 0.1
        while True:
            response = self._send(what, method, path, body, key, hang_up_after)
            if hang_up_after is not None and response is None:
                raise HungUp
            if response is not None:
                answer = Answer(response)
                if answer.status not in BUSY and answer.code not in IN_PROGRESS and answer.status < 500:
                    self._waited += time.monotonic() - began
                    self._journal.took(what, time.monotonic() - began)
                    return answer
                pause = max(pause, min(_retry_after(response), LONGEST_PAUSE_SECONDS))
            waited = time.monotonic() - began
            if self._waited + waited > self.patience:
                self._journal.count(f"gave up: {what}")
                raise GaveUp(f"{method} {path}: {response and Answer(response)}")
            self._journal.count("retries")
            time.sleep(pause * random.uniform(0.8, 1.2))
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _send(
        self,
        what: str,
        method: str,
        path: str,
        body: Json | None,
        key: str | None,
        hang_up_after: float | None,
    ) -> httpx.Response | None:
        """One answer, checked; None when there was none."""
        headers = {"X-Forwarded-For": self._address}
        if self.access:
            headers["Authorization"] = f"Bearer {self.access}"
        if key:
            headers["Idempotency-Key"] = key
        timeout = (
            TIMEOUT_SECONDS if hang_up_after is None else httpx.Timeout(TIMEOUT_SECONDS, read=hang_up_after)
        )
        url = path if path.startswith("/dev/") else f"/api/v1{path}"
        content: Json = {}
        if body is not None:
            content = {"data": body} if path.startswith("/dev/") else {"json": body}
        began = time.monotonic()
        try:
            response = self._http.request(method, url, headers=headers, timeout=timeout, **content)
        except httpx.TransportError as error:
            self._journal.count(f"no answer: {type(error).__name__}")
            return None
        seconds = time.monotonic() - began
        self._journal.took("one answer", seconds)
        self._check(what, method, path, response, seconds)
        return response

    def _check(self, what: str, method: str, path: str, response: httpx.Response, seconds: float) -> None:
        """What must hold of every answer, whatever is broken."""
        status = response.status_code
        if status < 400:
            return
        self._journal.count(f"answer {status} {_json(response).get('code', '?')}")
        request = response.headers.get("X-Request-Id", "?")
        said = f"{method} {path} ({what}) answered {status} after {seconds:.1f} s, request {request}"
        kind = response.headers.get("Content-Type", "")
        if not path.startswith("/dev/") and not (
            kind.startswith("application/problem+json") and _json(response).get("code")
        ):
            self._journal.find(
                f"{said}: {kind or 'no type'} instead of a problem document: {response.text[:120]!r}"
            )
        if status == 500:
            self._journal.find(f"{said}: a fault that has no name: {response.text[:200]}")
        if status == 401 and self.access:
            self._journal.find(f"{said}: a good token was refused: {response.text[:200]}")


def connections(base_url: str) -> httpx.Client:
    """To the gateway, by plain HTTP: without the certificates whose loading takes longer than most requests."""
    limits = httpx.Limits(max_connections=4, keepalive_expiry=5)
    return httpx.Client(base_url=base_url, timeout=TIMEOUT_SECONDS, limits=limits, verify=False)  # noqa: S501


def new_key() -> str:
    return uuid4().hex


def _retry_after(response: httpx.Response) -> float:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else 0.0


def _json(response: httpx.Response) -> Json:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
