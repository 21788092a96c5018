"""What staff calls to make and stop coupons."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cart import selectors, services
from cart.api.serializers import (
    CouponChangeSerializer,
    CouponFilterSerializer,
    CouponSerializer,
    NewCouponSerializer,
)
from cart.models import Coupon
from shared_lib.api.etags import check_if_match, etag_of
from shared_lib.api.idempotency import idempotent
from shared_lib.api.openapi import problems
from shared_lib.api.pagination import NumberedPagination
from shared_lib.api.permissions import IsStaff

IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The `ETag` of the coupon that the change is meant for.",
)


def _etag(coupon: Coupon) -> str:
    return etag_of(coupon.pk, coupon.version)


def _check(request: Request, coupon: Coupon) -> None:
    check_if_match(request, _etag(coupon))


def _with_subtrees(values: dict[str, Any]) -> dict[str, Any]:
    if "categories" not in values:
        return values
    return {**values, "category_slugs": services.find_subtrees(categories=values["categories"])}


def _coupon_response(coupon_id: UUID, *, status: int = 200) -> Response:
    coupon = selectors.find_coupon(coupon_id=coupon_id)
    return Response(CouponSerializer(coupon).data, status=status, headers={"ETag": _etag(coupon)})


class AdminCouponsView(generics.ListAPIView[Coupon]):
    permission_classes = [IsStaff]
    pagination_class = NumberedPagination
    serializer_class = CouponSerializer

    @extend_schema(
        operation_id="cart_admin_coupons_list",
        summary="All coupons, newest first",
        parameters=[CouponFilterSerializer],
        responses={200: CouponSerializer(many=True), **problems(401, 403, 404, 422)},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        query = CouponFilterSerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        page = self.paginate_queryset(selectors.all_coupons(**query.validated_data)) or []
        return self.get_paginated_response([CouponSerializer(coupon).data for coupon in page])

    @extend_schema(
        operation_id="cart_admin_coupons_create",
        summary="Make a coupon",
        description="409 `coupon_code_taken` if there is one of that code, stopped or not.",
        request=NewCouponSerializer,
        responses={201: CouponSerializer, **problems(400, 401, 403, 409, 415, 422, 503)},
    )
    def post(self, request: Request) -> Response:
        data = NewCouponSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        response: Response = self._create(request, _with_subtrees(data.validated_data))
        return response

    @idempotent(route="cart.admin.coupons")
    def _create(self, request: Request, values: dict[str, Any]) -> Response:
        return _coupon_response(services.create_coupon(**values), status=201)


class AdminCouponView(APIView):
    permission_classes = [IsStaff]

    @extend_schema(
        operation_id="cart_admin_coupons_retrieve",
        summary="One coupon, with the number of its uses",
        responses={200: CouponSerializer, **problems(401, 403, 404)},
    )
    def get(self, request: Request, coupon_id: UUID) -> Response:
        return _coupon_response(coupon_id)

    @extend_schema(
        operation_id="cart_admin_coupons_partial_update",
        summary="Change a coupon, except its code and kind",
        description="Orders that have used it keep what they got.",
        parameters=[IF_MATCH],
        request=CouponChangeSerializer,
        responses={200: CouponSerializer, **problems(400, 401, 403, 404, 412, 415, 422, 503)},
    )
    def patch(self, request: Request, coupon_id: UUID) -> Response:
        data = CouponChangeSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        services.change_coupon(
            coupon_id=coupon_id,
            changes=_with_subtrees(data.validated_data),
            precondition=partial(_check, request),
        )
        return _coupon_response(coupon_id)


class StopCouponView(APIView):
    permission_classes = [IsStaff]

    @extend_schema(
        operation_id="cart_admin_coupons_stop",
        summary="Nobody can use the coupon any more",
        description="Orders that have used it keep what they got. Stopping it again changes nothing.",
        parameters=[IF_MATCH],
        request=None,
        responses={200: CouponSerializer, **problems(401, 403, 404, 412)},
    )
    def post(self, request: Request, coupon_id: UUID) -> Response:
        services.stop_coupon(coupon_id=coupon_id, precondition=partial(_check, request))
        return _coupon_response(coupon_id)
