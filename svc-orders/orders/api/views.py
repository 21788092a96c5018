"""What storefronts call."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from orders import selectors, services
from orders.api.serializers import (
    CheckoutConflictSerializer,
    CheckoutSerializer,
    CouponProblemSerializer,
    NewPaymentSerializer,
    OrderSerializer,
    PaymentSerializer,
    QuoteRequestSerializer,
    QuoteSerializer,
    ShippingMethodListSerializer,
    ShippingQuerySerializer,
)
from orders.models import Order
from orders.totals import money_document
from shared_lib.api.encoders import dumps
from shared_lib.api.etags import check_if_match, etag_of
from shared_lib.api.idempotency import Replay, claim, complete, hash_of, key_of, release
from shared_lib.api.openapi import problems
from shared_lib.api.views import bearer
from shared_lib.auth.users import TokenUser
from shared_lib.exceptions import DomainError
from shared_lib.ids import uuid7

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="1 to 255 printable characters, kept for 24 hours. The same key and body again get the same 201.",
)
IDEMPOTENT_REPLAYED = OpenApiParameter(
    "Idempotent-Replayed",
    bool,
    OpenApiParameter.HEADER,
    response=[201],
    description="`true` when the answer was given before.",
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The `ETag` of the order that the change is meant for.",
)
ETAG = OpenApiParameter("ETag", str, OpenApiParameter.HEADER, response=[200], description="Names this state.")
CHECKOUT_CONFLICT = {
    (409, "application/problem+json"): OpenApiResponse(
        CheckoutConflictSerializer,
        description="`out_of_stock`, `price_changed`, `cart_changed`, `order_not_payable` (a sum that cannot be paid), "
        "`payment_in_progress` (an earlier order of this very cart is being paid), `checkout_in_progress` (another "
        "checkout of the buyer runs), `idempotency_in_progress`",
    ),
    (422, "application/problem+json"): OpenApiResponse(
        CouponProblemSerializer,
        description="`validation_failed`, `empty_cart`, `address_not_served`, `idempotency_key_reused`, "
        "`coupon_not_applicable` (`POST /orders` only: svc-cart gives no use of a coupon of the cart)",
    ),
}


def order_response(order_id: UUID, user: TokenUser) -> HttpResponse:
    version, document = selectors.get_order_json(order_id, user=user)
    return HttpResponse(
        document, content_type="application/json", headers={"ETag": etag_of(order_id, version)}
    )


def if_match(request: Request) -> Callable[[Order], None]:
    return lambda order: check_if_match(request, etag_of(order.id, order.version))


class ShippingMethodsView(APIView):
    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="orders_shipping_methods_list",
        summary="Ways to ship to a country, the cheapest first; none when the shop does not ship there",
        description="The price is that for goods of this weight and value. Ways that do not take the weight are left out.",
        parameters=[ShippingQuerySerializer],
        responses={200: ShippingMethodListSerializer, **problems(422)},
        auth=[],
    )
    def get(self, request: Request) -> Response:
        query = ShippingQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        grams = query.validated_data.get("weight_grams", 0)
        goods = query.validated_data.get("subtotal", 0)
        priced = [
            (method.price_of(goods=goods, grams=grams), method)
            for method in selectors.shipping_methods(query.validated_data["country"])
            if method.takes(grams)
        ]
        results = [
            {
                "code": method.code,
                "name": method.name,
                "price": money_document(price, method.currency),
                "min_days": method.min_days,
                "max_days": method.max_days,
            }
            for price, method in sorted(priced, key=lambda pair: (pair[0], pair[1].code))
        ]
        return Response({"results": results})


class QuoteView(APIView):
    @extend_schema(
        operation_id="orders_quote",
        summary="What `POST /orders` would make now; nothing is taken",
        request=QuoteRequestSerializer,
        responses={200: QuoteSerializer, **CHECKOUT_CONFLICT},
    )
    def post(self, request: Request) -> Response:
        body = QuoteRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(services.quote_order(user_id=bearer(request).id, request=body.to_request()))


class OrdersView(ListAPIView[Order]):
    serializer_class = OrderSerializer

    @extend_schema(operation_id="orders_list", summary="The user's own orders, newest first")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(selectors.orders_of(bearer(request).id))
        return self.get_paginated_response([selectors.order_document(order) for order in page or []])

    @extend_schema(
        operation_id="orders_create",
        summary="Orders the user's cart",
        description="Stock is reserved and a payment made; the order waits for its money until `expires_at`. An earlier "
        "unpaid order of the same cart is cancelled first. A buyer's checkouts run one at a time.",
        parameters=[IDEMPOTENCY_KEY, IDEMPOTENT_REPLAYED],
        request=CheckoutSerializer,
        responses={201: OrderSerializer, **CHECKOUT_CONFLICT},
    )
    def post(self, request: Request) -> HttpResponse:
        key = key_of(request, required=True)
        body = CheckoutSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        placed = services.place_order(
            user_id=bearer(request).id, key=key or "", body_hash=hash_of(request), request=body.to_request()
        )
        if placed.replayed:
            return Replay(201, placed.answer).response()
        return HttpResponse(placed.answer, status=201, content_type="application/json")


class OrderView(APIView):
    @extend_schema(
        operation_id="orders_retrieve",
        summary="One order: the user's own, or any for staff",
        parameters=[ETAG],
        responses={200: OrderSerializer, **problems(404)},
    )
    def get(self, request: Request, order_id: UUID) -> HttpResponse:
        return order_response(order_id, bearer(request))


class PaymentsView(APIView):
    @extend_schema(
        operation_id="orders_payments_create",
        summary="A new payment for an unpaid order",
        description="An earlier payment that could still be paid is cancelled first.",
        parameters=[IDEMPOTENCY_KEY, IDEMPOTENT_REPLAYED],
        request=NewPaymentSerializer,
        responses={201: PaymentSerializer, **problems(404, 409)},
    )
    def post(self, request: Request, order_id: UUID) -> HttpResponse:
        key = key_of(request, required=True)
        body = NewPaymentSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        payment_id = uuid7()
        claimed = claim(
            user_id=bearer(request).id,
            route="orders/payments",
            key=key or "",
            request_hash=hash_of(request),
            lease=timedelta(seconds=settings.CHECKOUT_LEASE_SECONDS),
            resource_id=payment_id,
        )
        if isinstance(claimed, Replay):
            return claimed.response()
        try:
            payment = services.start_payment(
                order_id=order_id,
                user_id=bearer(request).id,
                payment_id=claimed.resource_id or payment_id,
                provider=body.validated_data.get("payment_provider"),
            )
        except DomainError:
            release(claimed)
            raise
        document = msgspec.to_builtins(payment)
        answer = dumps(
            {
                name: document[name]
                for name in ("id", "order_id", "status", "amount", "refunded", "provider", "action")
            }
        )
        complete(claimed, status=201, body=answer)
        return HttpResponse(answer, status=201, content_type="application/json")


class CancelView(APIView):
    @extend_schema(
        operation_id="orders_cancel",
        summary="Cancels an order before it ships; stock and money come back",
        description="Staff may cancel any order. 409 `order_not_cancellable` once it is shipped or cancelled, and while a "
        "payment is being processed.",
        parameters=[IF_MATCH, ETAG],
        request=None,
        responses={200: OrderSerializer, **problems(404, 409, 412)},
    )
    def post(self, request: Request, order_id: UUID) -> HttpResponse:
        user = bearer(request)
        services.cancel_order(
            order_id=order_id, who=user.id, is_staff=user.is_staff, precondition=if_match(request)
        )
        return order_response(order_id, user)
