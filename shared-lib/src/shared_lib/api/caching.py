"""Answers that shared caches may keep: the same for everybody, whatever token, cookie or language the request carries."""

from __future__ import annotations

import gzip
import hashlib
import re
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.middleware.locale import LocaleMiddleware

from shared_lib.api.etags import coded, etag_of, not_modified

_WORTH_COMPRESSING = 600  # bytes
_GZIP = re.compile(r"(?:^|[,\s])(?:gzip|\*)(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))", re.IGNORECASE)


class LanguageMiddleware(LocaleMiddleware):
    """Django's, but for answers marked by `for_everybody`, which it would make vary by `Accept-Language`."""

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        if getattr(response, "for_everybody", False):
            return response
        return super().process_response(request, response)


def for_everybody(response: HttpResponse, *, seconds: int) -> HttpResponse:
    """Lets shared caches keep `response` for so long. It must depend on nothing of the request but its URL."""
    response.headers["Cache-Control"] = f"public, max-age=0, s-maxage={seconds}"
    response.for_everybody = True  # type: ignore[attr-defined]
    return response


def shared_json(request: HttpRequest, body: bytes, *state: object, seconds: int) -> HttpResponse:
    """JSON for shared caches, compressed for who takes that, or a 304.

    The tag is that of the bytes, after what `state` names; the compressed answer has one of its own.
    """
    etag = etag_of(*state, hashlib.blake2b(body, digest_size=12).hexdigest())
    compress = len(body) >= _WORTH_COMPRESSING and _GZIP.search(request.META.get("HTTP_ACCEPT_ENCODING", ""))
    if compress:
        etag = coded(etag, "gzip")
    response = not_modified(request, etag)
    if response is None:
        headers = {"ETag": etag}
        if compress:
            # Without a time stamp the same body stays the same bytes.
            body = gzip.compress(body, compresslevel=5, mtime=0)
            headers["Content-Encoding"] = "gzip"
        response = HttpResponse(body, content_type="application/json", headers=headers)
    response.headers["Vary"] = "Accept-Encoding"
    return for_everybody(response, seconds=seconds)
