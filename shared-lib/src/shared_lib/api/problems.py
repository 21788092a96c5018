"""RFC 9457 problem documents: the only form in which an error leaves a service."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import structlog
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from rest_framework import exceptions as drf
from rest_framework.response import Response

from shared_lib.exceptions import DomainError
from shared_lib.observability.context import request_id

logger = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"

# code -> title. The codes are stable; a domain error brings its own.
TITLES = {
    "bad_request": "The request is malformed",
    "validation_failed": "The request is not valid",
    "unauthorized": "Authentication is needed",
    "invalid_token": "The access token is not valid",
    "permission_denied": "You may not do this",
    "not_found": "Not found",
    "method_not_allowed": "This method is not allowed here",
    "not_acceptable": "No acceptable representation",
    "conflict": "The request conflicts with the current state",
    "precondition_failed": "The resource has changed since it was read",
    "payload_too_large": "The request body is too large",
    "unsupported_media_type": "This media type is not supported",
    "rate_limited": "Too many requests",
    "internal_error": "Something went wrong on our side",
    "service_unavailable": "A part of the shop is not available at the moment",
}


def problem(
    status: int,
    code: str,
    *,
    title: str | None = None,
    detail: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The members of one problem document, in the order in which they are read best."""
    document: dict[str, Any] = {
        "type": f"urn:shop:problem:{code}",
        "title": title or TITLES.get(code, code),
        "status": status,
        "detail": detail or title or TITLES.get(code, code),
        "code": code,
        "request_id": request_id(),
    }
    document.update(extra or {})
    return document


def problem_response(document: dict[str, Any], headers: Mapping[str, str] | None = None) -> HttpResponse:
    """A problem document as a plain Django response, for what never reaches a DRF view."""
    return HttpResponse(
        orjson.dumps(document),
        status=document["status"],
        content_type=CONTENT_TYPE,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def domain_problem(error: DomainError) -> dict[str, Any]:
    return problem(error.status, error.code, title=error.title, detail=error.detail, extra=error.extra)


def flatten(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    """The errors of a serializer, however deep, as `{"field": "lines.0.quantity", "code": ..., "detail": ...}`."""
    if isinstance(detail, Mapping):
        for key, value in detail.items():
            yield from flatten(value, ".".join(part for part in (path, str(key)) if part))
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            nested = isinstance(value, Mapping | list)
            yield from flatten(value, f"{path}.{index}".lstrip(".") if nested else path)
    else:
        yield {"field": path, "code": getattr(detail, "code", "invalid"), "detail": str(detail)}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:  # noqa: C901 - one flat table
    """Turns every exception of a view into a problem document; unknown ones are logged and told as `internal_error`."""
    headers: dict[str, str] = {}
    match error:
        case DomainError():
            if error.status >= 500:
                logger.warning("request_refused", code=error.code, reason=str(error))
            document = domain_problem(error)
            headers = error.headers
        case drf.ValidationError():
            document = problem(
                422,
                "validation_failed",
                detail=_("Some fields are not valid."),
                extra={"errors": list(flatten(error.detail))},
            )
        case drf.AuthenticationFailed():
            document = problem(
                401, str(getattr(error.detail, "code", "unauthorized")), detail=str(error.detail)
            )
        case drf.NotAuthenticated():
            document = problem(401, "unauthorized", detail=str(error.detail))
        case drf.Throttled():
            document = problem(429, "rate_limited", detail=str(error.detail))
            wait: float | None = getattr(error, "wait", None)
            if wait is not None:
                headers["Retry-After"] = str(max(1, round(wait)))
        case drf.UnsupportedMediaType():
            document = problem(415, "unsupported_media_type", detail=str(error.detail))
        case drf.ParseError() | BadRequest() | SuspiciousOperation():
            too_big = isinstance(error, RequestDataTooBig)
            detail = str(error.detail) if isinstance(error, drf.APIException) else None
            document = (
                problem(413, "payload_too_large") if too_big else problem(400, "bad_request", detail=detail)
            )
        case drf.MethodNotAllowed():
            document = problem(405, "method_not_allowed", detail=str(error.detail))
        case drf.NotFound() | Http404():
            document = problem(404, "not_found")
        case drf.PermissionDenied() | PermissionDenied():
            document = problem(403, "permission_denied", detail=str(getattr(error, "detail", "")) or None)
        case drf.APIException():
            document = problem(
                error.status_code, str(getattr(error.detail, "code", "error")), detail=str(error.detail)
            )
        case OperationalError() | InterfaceError():
            document, headers = _database_away(error)
        case _:
            logger.error("unhandled_exception", view=type(context.get("view")).__name__, exc_info=error)
            document = problem(500, "internal_error")
    auth_header = getattr(error, "auth_header", None)
    if auth_header:
        headers["WWW-Authenticate"] = auth_header
    headers["Cache-Control"] = "no-store"
    return Response(document, status=document["status"], headers=headers, content_type=CONTENT_TYPE)


def _database_away(error: Exception) -> tuple[dict[str, Any], dict[str, str]]:
    """The session was lost, none could be had, or a lock or statement took too long: nothing that the request is guilty of.

    Whether a lost commit took effect is unknown, as after any 503: the same key again tells.
    """
    logger.warning("database_unavailable", error=f"{type(error).__name__}: {error}".strip())
    return problem(503, "service_unavailable"), {"Retry-After": "1"}


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return problem_response(problem(413, "payload_too_large"))
    return problem_response(problem(400, "bad_request"))


def handler403(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem_response(problem(403, "permission_denied"))


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem_response(problem(404, "not_found"))


def handler500(request: HttpRequest) -> HttpResponse:
    error = sys.exc_info()[1]
    if isinstance(error, OperationalError | InterfaceError):
        return problem_response(*_database_away(error))
    return problem_response(problem(500, "internal_error"))
