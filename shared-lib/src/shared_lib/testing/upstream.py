"""Other services in unit tests: five-line fakes behind the real HTTP client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from django.conf import settings

from shared_lib.api.encoders import dumps

Answer = httpx.Response | msgspec.Struct | tuple[int, Any] | None
Responder = Callable[[httpx.Request], Answer]


@dataclass
class Call:
    service: str
    method: str
    path: str
    params: dict[str, str]
    json: Any
    headers: httpx.Headers


class Upstreams:
    """Answers calls of `ServiceClient` by functions, in order of definition, and records them in `calls`.

        upstream("svc-catalog", "POST", "/internal/v1/reservations", lambda request: reservation)

    A path ending in `*` is a prefix. An answer is a contract (200), `(status, JSON)`, a response, or None (204); a responder
    may raise `httpx` errors. A call that nobody answers fails the test.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._responders: list[tuple[str, str, str, Responder]] = []
        self.transport = httpx.MockTransport(self._handle)

    def __call__(self, service: str, method: str, path: str, responder: Responder) -> None:
        """The newest definition for a call wins."""
        self._responders.insert(0, (service, method, path, responder))

    def calls_of(self, method: str, path: str) -> list[Call]:
        return [call for call in self.calls if call.method == method and _matches(path, call.path)]

    def _handle(self, request: httpx.Request) -> httpx.Response:
        service = self._service_of(request)
        body = msgspec.json.decode(request.content) if request.content else None
        self.calls.append(
            Call(service, request.method, request.url.path, dict(request.url.params), body, request.headers)
        )
        for name, method, path, responder in self._responders:
            if name == service and method == request.method and _matches(path, request.url.path):
                return _response(responder(request))
        raise AssertionError(f"nobody answers {request.method} {service}{request.url.path} in this test")

    def _service_of(self, request: httpx.Request) -> str:
        netloc = request.url.netloc.decode()
        return next(name for name, url in settings.SERVICE_URLS.items() if urlsplit(url).netloc == netloc)


def _matches(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


def _response(answer: Answer) -> httpx.Response:
    match answer:
        case httpx.Response():
            return answer
        case None:
            return httpx.Response(204)
        case (int() as status, body):
            return httpx.Response(status, content=dumps(body), headers={"Content-Type": "application/json"})
        case _:
            return httpx.Response(200, content=dumps(answer), headers={"Content-Type": "application/json"})
