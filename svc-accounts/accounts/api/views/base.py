"""What the views of this service share."""

from __future__ import annotations

from typing import Any, cast

from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from shared_lib.auth.users import TokenUser


class PublicAPIView(APIView):
    """Route mode `public`: a token is not even looked at."""

    authentication_classes = []
    permission_classes = [AllowAny]


def bearer(request: Request) -> TokenUser:
    """Who sent the access token of a `required` route."""
    return cast("TokenUser", request.user)


def validated(serializer: type[Serializer[Any]], data: Any, *, partial: bool = False) -> dict[str, Any]:
    """`data` as `serializer` understands it. Raises the 422 that names every wrong field."""
    bound = serializer(data=data, partial=partial)
    bound.is_valid(raise_exception=True)
    return bound.validated_data


def body(request: Request, serializer: type[Serializer[Any]], *, partial: bool = False) -> dict[str, Any]:
    return validated(serializer, request.data, partial=partial)
