"""What staff calls, and sellers for lines of their own."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from orders import selectors, services
from orders.api.serializers import (
    OrderFilterSerializer,
    RefundRequestSerializer,
    RefundSerializer,
    ShipSerializer,
    StaffOrderSerializer,
)
from orders.api.views import ETAG, IDEMPOTENCY_KEY, IDEMPOTENT_REPLAYED, IF_MATCH, if_match
from orders.models import Order
from shared_lib.api.etags import etag_of
from shared_lib.api.idempotency import idempotent
from shared_lib.api.openapi import problems
from shared_lib.api.pagination import NumberedPagination
from shared_lib.api.permissions import IsSellerOrStaff, IsStaff
from shared_lib.api.views import bearer


class StaffOrdersView(ListAPIView[Order]):
    permission_classes = [IsSellerOrStaff]
    pagination_class = NumberedPagination
    serializer_class = StaffOrderSerializer

    @extend_schema(
        operation_id="orders_admin_list",
        summary="All orders, newest first, with filters; sellers get those with lines of their own",
        description="Sellers see an order from its confirmation on, with their own lines and parcels only.",
        parameters=[OrderFilterSerializer],
        responses={200: StaffOrderSerializer(many=True), **problems(403, 404, 422)},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        user = bearer(request)
        query = OrderFilterSerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        page = self.paginate_queryset(selectors.orders_for(user, query.to_filters()))
        return self.get_paginated_response([selectors.staff_document(order, user) for order in page or []])


class StaffOrderView(APIView):
    permission_classes = [IsSellerOrStaff]

    @extend_schema(
        operation_id="orders_admin_retrieve",
        summary="One order with refunds, returns, and who did what",
        description="Sellers get their own lines and parcels, and where to send them.",
        parameters=[ETAG],
        responses={200: StaffOrderSerializer, **problems(403, 404)},
    )
    def get(self, request: Request, order_id: UUID) -> Response:
        return _answer(order_id, request)


class ShipView(APIView):
    permission_classes = [IsSellerOrStaff]

    @extend_schema(
        operation_id="orders_ship",
        summary="A parcel of a confirmed order leaves",
        description="The order is `shipped` when nothing is left. Sellers ship lines of their own. 409 `order_not_shippable` "
        "unless the order is confirmed; 409 `lines_not_shippable` with `lines: [{variant_id, requested, left}]`. The answer "
        "is what `GET /orders/admin/{id}` shows to who asks.",
        parameters=[IF_MATCH, ETAG],
        request=ShipSerializer,
        responses={200: StaffOrderSerializer, **problems(403, 404, 409, 412)},
    )
    def post(self, request: Request, order_id: UUID) -> Response:
        user = bearer(request)
        body = ShipSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        services.ship_order(
            order_id=order_id,
            who=user.id,
            is_staff=user.is_staff,
            precondition=if_match(request),
            **body.validated_data,
        )
        return _answer(order_id, request)


class DeliverView(APIView):
    permission_classes = [IsStaff]

    @extend_schema(
        operation_id="orders_deliver",
        summary="Every parcel has arrived",
        description="409 `order_not_deliverable` unless the order is shipped. The answer is what `GET /orders/admin/{id}` shows.",
        parameters=[IF_MATCH, ETAG],
        request=None,
        responses={200: StaffOrderSerializer, **problems(403, 404, 409, 412)},
    )
    def post(self, request: Request, order_id: UUID) -> Response:
        services.deliver_order(order_id=order_id, who=bearer(request).id, precondition=if_match(request))
        return _answer(order_id, request)


class RefundView(APIView):
    permission_classes = [IsStaff]

    @extend_schema(
        operation_id="orders_refund",
        summary="Money goes back: for lines, an amount, or all that is left",
        description="A line is paid back at what it cost after its discount, with the tax that was added. The status of the "
        "order stays. 409 `order_not_refundable`, `refund_exceeds_payment` (with `refundable`), `lines_not_refundable` (with "
        "`lines: [{variant_id, requested, left}]`). A refund that failed does not count: its money may be asked for again.",
        parameters=[IDEMPOTENCY_KEY, IDEMPOTENT_REPLAYED],
        request=RefundRequestSerializer,
        responses={201: RefundSerializer, **problems(403, 404, 409)},
    )
    @idempotent(route="orders/refund", required=True)
    def post(self, request: Request, order_id: UUID) -> Response:
        body = RefundRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        refund = services.refund_order(
            order_id=order_id, who=bearer(request).id, remark=values.pop("reason", ""), **values
        )
        return Response(selectors.refund_document(refund), status=201)


def _answer(order_id: UUID, request: Request) -> Response:
    user = bearer(request)
    order = selectors.get_order_for(user, order_id)
    document = selectors.staff_document(order, user)
    return Response(document, headers={"ETag": etag_of(order.id, order.version)})
