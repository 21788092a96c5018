"""Lists: by cursor for everybody, numbered for staff tables, and bare cursors for infinite scroll."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import QuerySet
from rest_framework import pagination
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100


class CursorPagination(pagination.CursorPagination):
    """`{"results": [...], "next": URL or null, "previous": URL or null}`; newest first unless the view says otherwise.

    Also what infinite scroll needs: a client follows `next` until it is null and never sees a row twice, whatever is
    inserted meanwhile. Links are relative to the host that the client used. A cursor that is none gets 422.
    """

    page_size = DEFAULT_PAGE_SIZE
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE
    ordering = ("-created_at", "-id")

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        if not isinstance(queryset, QuerySet):
            raise TypeError("Only a query set can be paged by cursor.")
        self._model = queryset.model
        page: list[Any] | None = super().paginate_queryset(queryset, request, view)
        return page

    def decode_cursor(self, request: Request) -> pagination.Cursor | None:
        """A cursor can be written by anybody: its position must be a value of the column that the list is sorted by."""
        try:
            cursor: pagination.Cursor | None = super().decode_cursor(request)
            if cursor is not None and cursor.position is not None:
                column = self._model._meta.get_field(self.ordering[0].removeprefix("-"))
                position = column.to_python(cursor.position)
                if (isinstance(position, datetime) and position.tzinfo is None) or "\0" in str(
                    cursor.position
                ):
                    raise NotFound
        except (NotFound, DjangoValidationError):
            raise ValidationError({self.cursor_query_param: ["This is not a cursor of this list."]}) from None
        return cursor

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.get_next_link(), "previous": self.get_previous_link()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return envelope_schema(schema)


class NumberedPagination(pagination.PageNumberPagination):
    """`?page=` for tables of staff: the cursor envelope plus `count`."""

    page_size = DEFAULT_PAGE_SIZE
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE

    def get_paginated_response(self, data: Any) -> Response:
        document = {"results": data, "next": self.get_next_link(), "previous": self.get_previous_link()}
        count = self.page.paginator.count if self.page else 0
        return Response({**document, "count": count})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        document = envelope_schema(schema)
        document["properties"]["count"] = {"type": "integer", "minimum": 0}
        document["required"].append("count")
        return document


def envelope_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI of a list envelope around items of `schema` (an array)."""
    link = {"type": ["string", "null"], "format": "uri"}
    return {
        "type": "object",
        "required": ["results", "next", "previous"],
        "properties": {"results": schema, "next": link, "previous": link},
    }
