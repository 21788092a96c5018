"""What every error of the gateway looks like."""

from __future__ import annotations

import json
from typing import Any, Protocol

MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}


class HasHeaders(Protocol):
    """An answer of httpx."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> Any: ...
    @property
    def content(self) -> bytes: ...


def assert_problem(answer: HasHeaders, status: int, code: str) -> dict[str, Any]:
    """Asserts a whole problem document and returns it."""
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    document: dict[str, Any] = json.loads(answer.content)
    assert document.keys() >= MEMBERS
    assert (document["status"], document["code"], document["type"]) == (
        status,
        code,
        f"urn:shop:problem:{code}",
    )
    assert document["title"]
    assert document["detail"]
    assert document["request_id"] == answer.headers["X-Request-Id"]
    return document
