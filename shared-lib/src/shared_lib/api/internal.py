"""The base of every endpoint below `/internal/v1/`."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import msgspec
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from shared_lib.auth.authentication import ServiceTokenAuthentication
from shared_lib.exceptions import InvalidValue

Payload = TypeVar("Payload", bound=msgspec.Struct)


class IsAllowedCaller(BasePermission):
    message = "This service may not call this endpoint."

    def has_permission(self, request: Request, view: Any) -> bool:
        return getattr(request.user, "name", None) in view.callers


class InternalAPIView(APIView):
    """Answers only the services listed in `callers`, each proven by a token that its own key signed."""

    callers: ClassVar[frozenset[str]] = frozenset()
    authentication_classes = [ServiceTokenAuthentication]
    permission_classes = [IsAllowedCaller]

    @staticmethod
    def read(request: Request, contract: type[Payload]) -> Payload:
        """The body as `contract`. Raises a 422 that names the field."""
        try:
            return msgspec.convert(request.data, contract, strict=False)
        except msgspec.ValidationError as error:
            message, _, path = str(error).partition(" - at ")
            raise InvalidValue(path.strip("`$.") or "body", message) from None

    @staticmethod
    def write(payload: msgspec.Struct, *, status: int = 200) -> Response:
        return Response(msgspec.to_builtins(payload), status=status)
