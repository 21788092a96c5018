"""`ETag`, `If-Match` and `If-None-Match` (RFC 9110) for single resources."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.utils.http import parse_etags, quote_etag
from rest_framework.request import Request

from shared_lib.exceptions import DomainError


class PreconditionFailed(DomainError):
    status = 412
    code = "precondition_failed"
    title = "The resource has changed since it was read"


def etag_of(*parts: Any) -> str:
    """A strong entity tag made of what names the state, for example id and version."""
    return quote_etag("-".join(str(part) for part in parts))


def coded(etag: str, coding: str) -> str:
    """The tag of the same state in a content coding, like gzip: strong tags name bytes."""
    return f'{etag.removesuffix(chr(34))}-{coding}"'


def check_if_match(request: Request, etag: str) -> None:
    """Raises `PreconditionFailed` when the client holds another state. Call it under the row's lock.

    No `If-Match` passes, as does `*`; weak tags never match. The tag of a compressed answer names the same state.
    """
    header = request.META.get("HTTP_IF_MATCH")
    if header is None:
        return
    tags = parse_etags(header)
    if tags != ["*"] and not {etag, coded(etag, "gzip")} & set(tags):
        raise PreconditionFailed


def not_modified(request: Any, etag: str) -> HttpResponse | None:
    """A 304 when the client already holds this state (weak comparison), else None."""
    header = request.META.get("HTTP_IF_NONE_MATCH")
    if header is None:
        return None
    tags = parse_etags(header)
    if tags == ["*"] or etag.removeprefix("W/") in [tag.removeprefix("W/") for tag in tags]:
        return HttpResponse(status=304, headers={"ETag": etag})
    return None
