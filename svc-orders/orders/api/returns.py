"""Goods that come back: buyers ask, staff approves and receives, or rejects."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from orders import selectors, services
from orders.api.serializers import (
    ReceiveSerializer,
    RejectSerializer,
    ReturnRequestSerializer,
    ReturnSerializer,
)
from orders.api.views import IDEMPOTENT_REPLAYED
from orders.models import Return
from shared_lib.api.idempotency import idempotent
from shared_lib.api.openapi import problems
from shared_lib.api.permissions import IsStaff
from shared_lib.api.views import bearer

OPTIONAL_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="1 to 255 printable characters, kept for 24 hours. The same key and body again get the same 201.",
)


class ReturnsView(ListAPIView[Return]):
    serializer_class = ReturnSerializer

    @extend_schema(
        operation_id="orders_returns_list",
        summary="The returns of an order: the user's own, or any for staff",
        responses={200: ReturnSerializer(many=True), **problems(404)},
    )
    def get(self, request: Request, order_id: UUID) -> Response:
        page = self.paginate_queryset(selectors.returns_of(order_id, user=bearer(request)))
        return self.get_paginated_response([selectors.return_document(found) for found in page or []])

    @extend_schema(
        operation_id="orders_returns_create",
        summary="The buyer wants to send something back",
        description="Once the order is shipped, and for 30 days after its delivery (setting). 409 `order_not_returnable` "
        "otherwise; 409 `lines_not_returnable` with `lines: [{variant_id, requested, left}]` when more is to be sent back "
        "than was ordered.",
        parameters=[OPTIONAL_KEY, IDEMPOTENT_REPLAYED],
        request=ReturnRequestSerializer,
        responses={201: ReturnSerializer, **problems(404, 409)},
    )
    @idempotent(route="orders/returns")
    def post(self, request: Request, order_id: UUID) -> Response:
        body = ReturnRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        made = services.request_return(order_id=order_id, user_id=bearer(request).id, **body.validated_data)
        return _answer(made, status=201)


class ApproveView(APIView):
    permission_classes = [IsStaff]

    @extend_schema(
        operation_id="orders_returns_approve",
        summary="The buyer may send it",
        description="409 `return_not_approvable` unless it is `requested`.",
        request=None,
        responses={200: ReturnSerializer, **problems(403, 404, 409)},
    )
    def post(self, request: Request, return_id: UUID) -> Response:
        return _answer(services.approve_return(return_id=return_id, who=bearer(request).id))


class RejectView(APIView):
    permission_classes = [IsStaff]

    @extend_schema(
        operation_id="orders_returns_reject",
        summary="The shop does not take it back",
        description="The buyer is told, and finds the reason at the return; the same goods may be asked for again. "
        "409 `return_not_rejectable` unless it is `requested`.",
        request=RejectSerializer,
        responses={200: ReturnSerializer, **problems(403, 404, 409)},
    )
    def post(self, request: Request, return_id: UUID) -> Response:
        body = RejectSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        found = services.reject_return(return_id=return_id, who=bearer(request).id, **body.validated_data)
        return _answer(found)


class ReceiveView(APIView):
    permission_classes = [IsStaff]

    @extend_schema(
        operation_id="orders_returns_receive",
        summary="It has arrived: what it cost goes back by itself",
        description="As far as it has not been paid back before; shipping is not paid back. 409 `return_not_receivable` "
        "unless it is `approved`.",
        request=ReceiveSerializer,
        responses={200: ReturnSerializer, **problems(403, 404, 409)},
    )
    def post(self, request: Request, return_id: UUID) -> Response:
        body = ReceiveSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        found = services.receive_return(return_id=return_id, who=bearer(request).id, **body.validated_data)
        return _answer(found)


def _answer(found: Return, *, status: int = 200) -> Response:
    document: dict[str, Any] = selectors.return_document(selectors.get_return(found.id))
    return Response(document, status=status)
