"""The public API of svc-payments."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from payments import selectors, services
from payments.api.card_numbers import refuse_card_numbers
from payments.api.serializers import (
    ConfirmSerializer,
    PaymentMethodsSerializer,
    PaymentSerializer,
    WebhookTakenSerializer,
    represent_payment,
)
from payments.models import Payment
from shared_lib.api.etags import check_if_match, etag_of, not_modified
from shared_lib.api.openapi import problems
from shared_lib.api.views import bearer

_PERSONAL = {"Cache-Control": "private, no-store"}


def _answer(payment: Payment) -> Response:
    return Response(represent_payment(payment), headers={"ETag": _etag(payment), **_PERSONAL})


def _etag(payment: Payment) -> str:
    return etag_of(payment.id, payment.version)


class PaymentMethodsView(APIView):
    @extend_schema(operation_id="payment_methods_list", responses={200: PaymentMethodsSerializer})
    def get(self, request: Request) -> Response:
        """The payment providers that this shop offers, the default first."""
        return Response({"results": selectors.payment_methods()}, headers=_PERSONAL)


class PaymentView(APIView):
    @extend_schema(
        operation_id="payments_retrieve",
        responses={200: PaymentSerializer, 304: OpenApiResponse(description="Not modified"), **problems(404)},
    )
    def get(self, request: Request, payment_id: UUID) -> HttpResponse:
        """One payment of the caller."""
        payment = selectors.payment_of_user(user_id=bearer(request).id, payment_id=payment_id)
        return not_modified(request, _etag(payment)) or _answer(payment)


class PaymentConfirmView(APIView):
    @extend_schema(
        operation_id="payments_confirm",
        request=ConfirmSerializer,
        responses={200: PaymentSerializer, **problems(402, 404, 409, 412, 422)},
    )
    def post(self, request: Request, payment_id: UUID) -> Response:
        """Pay with a token of the payment provider. The payment may then be paid, processing or need an action.

        402 `card_declined`: confirm again with another token. 409 `payment_not_confirmable`: it is final, or a confirmation
        is under way. 422 `card_number_refused`: the body held a card number.
        """
        refuse_card_numbers(request.data)
        serializer = ConfirmSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        payment = services.confirm_payment(
            user_id=bearer(request).id,
            payment_id=payment_id,
            payment_method=serializer.validated_data["payment_method"],
            return_url=serializer.validated_data.get("return_url"),
            precondition=lambda current: check_if_match(request, _etag(current)),
        )
        return _answer(payment)


class WebhookView(APIView):
    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="payments_webhook",
        request={"application/json": OpenApiTypes.OBJECT},
        parameters=[
            OpenApiParameter("provider", str, OpenApiParameter.PATH),
            OpenApiParameter("Sandbox-Signature", str, OpenApiParameter.HEADER, description="Of `sandbox`."),
            OpenApiParameter("Stripe-Signature", str, OpenApiParameter.HEADER, description="Of `stripe`."),
        ],
        responses={200: WebhookTakenSerializer, **problems(400, 404)},
    )
    def post(self, request: Request, provider: str) -> Response:
        """For payment providers only: an event, signed by the provider. 400: signature or time stamp is not good."""
        services.receive_webhook(provider_name=provider, headers=request.headers, body=request.body)
        return Response({"received": True}, headers={"Cache-Control": "no-store"})
