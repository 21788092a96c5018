"""Just enough HTTP on ASGI for a service with ten routes: a request, a response, a table of routes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import orjson

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    query: str = ""


@dataclass(slots=True)
class Response:
    """`cut`: the connection is closed in the middle of it."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False

    @classmethod
    def json(cls, status: int, document: Any, **headers: str) -> Response:
        return cls(status, orjson.dumps(document), headers=headers)


Handler = Callable[..., Response]


class BodyTooLarge(Exception):
    pass


class Disconnected(Exception):
    """The client went away before its request was complete: nothing was done."""


class Routes:
    """Patterns such as `/v1/refunds/{id}`; each name becomes a positional argument of the handler."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []

    def add(self, method: str, pattern: str, handler: Handler) -> None:
        expression = re.sub(r"\{\w+\}", r"([A-Za-z0-9_]{1,64})", pattern)
        self._routes.append((method, re.compile(f"{expression}\\Z"), handler))

    def find(self, method: str, path: str) -> tuple[Handler, tuple[str, ...]] | set[str]:
        """The handler and its arguments, or the methods that the path knows (none: there is no such path)."""
        allowed = set()
        for known, pattern, handler in self._routes:
            if match := pattern.match(path):
                if known == method:
                    return handler, match.groups()
                allowed.add(known)
        return allowed


async def read_request(scope: Scope, receive: Receive) -> Request:
    """Raises `BodyTooLarge` beyond `MAX_BODY_BYTES`, `Disconnected` when the body never ends."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise BodyTooLarge
        parts.append(part)
        if not message.get("more_body", False):
            break
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    return Request(method, scope["path"], headers, b"".join(parts), scope["query_string"].decode("latin-1"))


async def send_response(response: Response, send: Send, *, head_only: bool = False) -> None:
    headers = {
        "content-type": response.content_type,
        "content-length": str(len(response.body)),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        **response.headers,
    }
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": response.status, "headers": encoded})
    if response.cut:  # the server closes the connection of an application that ends before its answer does
        await send({"type": "http.response.body", "body": response.body[:1], "more_body": True})
        return
    await send({"type": "http.response.body", "body": b"" if head_only else response.body})
