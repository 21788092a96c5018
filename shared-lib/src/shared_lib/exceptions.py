"""Errors of the domain, in one tree.

    DomainError                 409 conflict
      NotFound                  404 not_found
      PermissionRefused         403 permission_denied
      InvalidValue              422 validation_failed, for one named field
      ServiceUnavailable        503 service_unavailable, another service that is needed now does not answer
      UpstreamProblem           another service refused a call; it becomes a 502 unless the caller handles it

A service subclasses these in its own `exceptions.py` and sets `status`, `code` and `title`. Selectors and services raise,
the API layer renders them as `application/problem+json`.
"""

from __future__ import annotations

from typing import Any


class DomainError(Exception):
    """A rule of the domain was broken.

    `code` is stable and part of the public contract. Keyword arguments become members of the problem document and must
    be JSON serialisable.
    """

    status = 409
    code = "conflict"
    title = "The request conflicts with the current state"

    def __init__(self, detail: str = "", **extra: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.extra = extra

    @property
    def headers(self) -> dict[str, str]:
        return {}


class NotFound(DomainError):
    """There is no such thing, or it belongs to somebody else: the two are not told apart."""

    status = 404
    code = "not_found"
    title = "Not found"


class PermissionRefused(DomainError):
    status = 403
    code = "permission_denied"
    title = "You may not do this"


class InvalidValue(DomainError):
    """A value that only the domain can judge. Rendered as the 422 of a serializer with one entry in `errors`."""

    status = 422
    code = "validation_failed"
    title = "The request is not valid"

    def __init__(self, field: str, detail: str, code: str = "invalid") -> None:
        super().__init__(detail, errors=[{"field": field, "code": code, "detail": detail}])


class ServiceUnavailable(DomainError):
    """Another service did not answer in time or failed. The caller may try again after `retry_after` seconds.

    `sent` is False only when no attempt of the call can have reached the callee. `reason` names service and cause: it is for
    logs, the client is shown `detail`.
    """

    status = 503
    code = "service_unavailable"
    title = "A part of the shop is not available at the moment"

    def __init__(
        self, detail: str = "", *, reason: str = "", retry_after: int = 2, sent: bool = True
    ) -> None:
        super().__init__(detail)
        self.reason = reason or self.detail
        self.retry_after = retry_after
        self.sent = sent

    def __str__(self) -> str:
        return self.reason

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


class UpstreamProblem(DomainError):
    """The callee answered 4xx. `upstream_status`, `upstream_code` and the whole `problem` document are the callee's.

    `uncertain`: an earlier sending of the same call got no answer, and may have taken effect, or may still.
    """

    status = 502
    code = "bad_gateway"
    title = "A part of the shop refused an internal call"

    def __init__(
        self,
        service: str,
        upstream_status: int,
        upstream_code: str,
        problem: dict[str, Any],
        *,
        uncertain: bool = False,
    ) -> None:
        super().__init__()
        self.uncertain = uncertain
        self.service = service
        self.upstream_status = upstream_status
        self.upstream_code = upstream_code
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.service} answered {self.upstream_status} {self.upstream_code}: {self.problem.get('detail', '')}"
