"""Public reads. They skip DRF's request cycle, which would cost more than the read: no parsing, no token, no renderer.

`APIView` is only what the API description finds them by.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.views import APIView

from catalog.api.parameters import parse_product_filter
from catalog.api.serializers import CategoryTreeSerializer, ProductDetailSerializer, ProductPageSerializer
from catalog.selectors import categories, products
from shared_lib.api.caching import shared_json
from shared_lib.api.encoders import dumps
from shared_lib.api.openapi import problems
from shared_lib.api.problems import domain_problem, problem, problem_response
from shared_lib.exceptions import DomainError

_NOT_MODIFIED = OpenApiResponse(description="The client's `If-None-Match` still holds")
_IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match", OpenApiTypes.STR, OpenApiParameter.HEADER, description="An `ETag` from before."
)


class PublicRead(APIView):
    """GET and HEAD for everybody, a token is ignored. Subclasses answer in `get` with a plain Django response."""

    authentication_classes = []
    permission_classes = [AllowAny]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method not in ("GET", "HEAD"):
            return problem_response(problem(405, "method_not_allowed"), {"Allow": "GET, HEAD"})
        try:
            response: HttpResponse = self.get(request, *args, **kwargs)  # type: ignore[attr-defined]
        except DomainError as error:
            return problem_response(domain_problem(error), error.headers)
        return response


def cacheable(request: HttpRequest, body: bytes, *state: object) -> HttpResponse:
    return shared_json(request, body, *state, seconds=settings.CATALOG_SHARED_MAX_AGE_SECONDS)


class CategoryListView(PublicRead):
    @extend_schema(
        operation_id="catalog_categories_list",
        summary="The tree of categories",
        parameters=[_IF_NONE_MATCH],
        responses={200: CategoryTreeSerializer, 304: _NOT_MODIFIED},
    )
    def get(self, request: HttpRequest) -> HttpResponse:
        return cacheable(request, dumps({"results": categories.category_tree()}))


class ProductListView(PublicRead):
    @extend_schema(
        operation_id="catalog_products_list",
        summary="Products, filtered and sorted, by cursor",
        parameters=[
            OpenApiParameter(
                "q",
                str,
                description="Words to look for; where no product has them, names that look like them.",
            ),
            OpenApiParameter("category", str, description="Slug or id of a category; its subtree counts."),
            OpenApiParameter("min_price", int, description="Of the shown price, in minor units."),
            OpenApiParameter("max_price", int, description="Of the shown price, in minor units."),
            OpenApiParameter("in_stock", bool),
            OpenApiParameter("seller", OpenApiTypes.UUID),
            OpenApiParameter(
                "rating_min", float, description="0 to 5; products without reviews never match."
            ),
            OpenApiParameter(
                "attr",
                {"type": "object", "additionalProperties": {"type": "string"}},
                style="form",
                explode=True,
                description="`attr.NAME=VALUE`, repeatable: several values of one name match any, several names all.",
                examples=[OpenApiExample("Red or blue", value={"attr.color": "Red"})],
            ),
            OpenApiParameter(
                "sort",
                str,
                enum=list(products.SORTS),
                description="`relevance` is the default with `q`; without `q` it is `newest`, the default there.",
            ),
            OpenApiParameter("cursor", str, description="From `next` or `previous`; belongs to one sort."),
            OpenApiParameter("page_size", int, description="Default 20, at most 100."),
            _IF_NONE_MATCH,
        ],
        responses={200: ProductPageSerializer, 304: _NOT_MODIFIED, **problems(422)},
    )
    def get(self, request: HttpRequest) -> HttpResponse:
        page = products.list_products(parse_product_filter(request.GET))
        links = f'"next":{_link(request, page.next)},"previous":{_link(request, page.previous)}'
        return cacheable(request, f'{{"results":[{",".join(page.items)}],{links}}}'.encode())


def _link(request: HttpRequest, cursor: str | None) -> str:
    """JSON of the URL of a neighbouring page.

    From PUBLIC_BASE_URL and not from the Host header, since what shared caches keep must not depend on who asked first.
    """
    if cursor is None:
        return "null"
    query = [(key, value) for key, values in request.GET.lists() if key != "cursor" for value in values]
    return dumps(
        f"{settings.PUBLIC_BASE_URL}{request.path}?{urlencode([*query, ('cursor', cursor)])}"
    ).decode()


class ProductDetailView(PublicRead):
    @extend_schema(
        operation_id="catalog_products_retrieve",
        summary="One product by id or slug",
        parameters=[
            OpenApiParameter("key", str, OpenApiParameter.PATH, description="Id or slug."),
            _IF_NONE_MATCH,
        ],
        responses={200: ProductDetailSerializer, 304: _NOT_MODIFIED, **problems(404)},
    )
    def get(self, request: HttpRequest, key: str) -> HttpResponse:
        version, body = products.product_detail(key)
        return cacheable(request, body.encode(), version)
