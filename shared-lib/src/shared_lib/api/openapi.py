"""OpenAPI: every operation names its problem documents; internal paths stay out."""

from __future__ import annotations

from typing import Any, Literal

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiResponse

from shared_lib.api.pagination import CursorPagination
from shared_lib.api.serializers import ProblemSerializer

_DESCRIPTIONS = {
    400: "The request is malformed",
    401: "No usable access token",
    402: "The payment was declined",
    403: "Not allowed",
    404: "Not found",
    409: "Conflict with the current state",
    412: "The resource has changed",
    413: "The body is too large",
    415: "Unsupported media type",
    422: "Not valid",
    429: "Too many requests",
    503: "A part of the shop is not available",
}


def problems(*statuses: int) -> dict[tuple[int, str], OpenApiResponse]:
    """Responses for `extend_schema(responses={200: ..., **problems(404, 409)})`, each a problem document."""
    return {
        (status, "application/problem+json"): OpenApiResponse(
            ProblemSerializer, description=_DESCRIPTIONS[status]
        )
        for status in statuses
    }


def public_paths_only(endpoints: list[Any], **_: Any) -> list[Any]:
    return [endpoint for endpoint in endpoints if endpoint[0].startswith(("/api/", "/.well-known/"))]


class ShopAutoSchema(AutoSchema):
    """Adds what every operation may answer: 400, 422 where there is a body or a cursor, 401 where a token is needed, 429, 503."""

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> dict[str, Any]:
        responses: dict[str, Any] = super()._get_response_bodies(direction)
        statuses = [400, 429, 503]
        if any(self.get_auth()):  # a public operation has one empty requirement
            statuses.append(401)
        if self.method in {"POST", "PUT", "PATCH"}:
            statuses += [413, 415, 422]
        elif self._is_list_view() and isinstance(self._get_paginator(), CursorPagination):  # type: ignore[no-untyped-call]
            statuses.append(422)
        for (status, media_type), response in problems(*statuses).items():
            if str(status) not in responses:
                responses[str(status)] = self._get_response_for_code(  # type: ignore[no-untyped-call]
                    response, str(status), [media_type], direction
                )
        return responses


class AccessTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "shared_lib.auth.authentication.AccessTokenAuthentication"
    name = "accessToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
