"""Lists: by cursor for everybody, numbered for staff tables, and bare cursors for infinite scroll."""

from __future__ import annotations

from typing import Any

from rest_framework import pagination
from rest_framework.response import Response

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100


class CursorPagination(pagination.CursorPagination):
    """`{"results": [...], "next": URL or null, "previous": URL or null}`; newest first unless the view says otherwise.

    Also what infinite scroll needs: a client follows `next` until it is null and never sees a row twice, whatever is
    inserted meanwhile. Links are relative to the host that the client used.
    """

    page_size = DEFAULT_PAGE_SIZE
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE
    ordering = ("-created_at", "-id")

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
