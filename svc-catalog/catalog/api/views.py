"""Changes by sellers and staff."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.api.serializers import StockAdjustmentSerializer, StockLevelSerializer
from catalog.services.stock import adjust_stock
from shared_lib.api.idempotency import idempotent
from shared_lib.api.openapi import problems
from shared_lib.api.permissions import IsSellerOrStaff
from shared_lib.api.views import bearer


class VariantStockView(APIView):
    permission_classes = [IsSellerOrStaff]

    @extend_schema(
        operation_id="catalog_variants_stock_create",
        summary="Add to or take from a variant's stock",
        description="Sellers their own variants, staff all. The result is never below what is reserved.",
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                str,
                OpenApiParameter.HEADER,
                description="Makes sending it again harmless.",
            )
        ],
        request=StockAdjustmentSerializer,
        responses={200: StockLevelSerializer, **problems(403, 404, 409)},
    )
    @idempotent(route="catalog.variants.stock")
    def post(self, request: Request, variant_id: UUID) -> Response:
        body = StockAdjustmentSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        user = bearer(request)
        stock = adjust_stock(
            variant_id=variant_id,
            actor_id=user.id,
            seller_id=None if user.is_staff else user.id,
            **body.validated_data,
        )
        return Response(
            {
                "variant_id": stock.variant_id,
                "on_hand": stock.on_hand,
                "reserved": stock.reserved,
                "available": stock.on_hand - stock.reserved,
            }
        )
