"""What the views of this service share."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.serializers import Serializer


def validated(serializer: type[Serializer[Any]], data: Any, *, partial: bool = False) -> dict[str, Any]:
    """`data` as `serializer` understands it. Raises the 422 that names every wrong field."""
    bound = serializer(data=data, partial=partial)
    bound.is_valid(raise_exception=True)
    return bound.validated_data


def body(request: Request, serializer: type[Serializer[Any]], *, partial: bool = False) -> dict[str, Any]:
    return validated(serializer, request.data, partial=partial)
