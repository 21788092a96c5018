"""PDF documents."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from orders import selectors
from shared_lib.api.openapi import problems
from shared_lib.api.views import bearer

_PDF = {(200, "application/pdf"): OpenApiTypes.BINARY}


class InvoiceView(APIView):
    @extend_schema(
        operation_id="orders_invoice",
        summary="The invoice as PDF, once the order is confirmed",
        description="The user's own, or any for staff. 409 `invoice_not_available` before.",
        responses={**_PDF, **problems(404, 409)},
    )
    def get(self, request: Request, order_id: UUID) -> HttpResponse:
        return _file(*selectors.get_invoice(order_id, user=bearer(request)))


class CreditNoteView(APIView):
    @extend_schema(
        operation_id="orders_credit_note",
        summary="The credit note of a refund as PDF, once its money has moved",
        responses={**_PDF, **problems(404)},
    )
    def get(self, request: Request, order_id: UUID, refund_id: UUID) -> HttpResponse:
        return _file(*selectors.get_credit_note(order_id, refund_id, user=bearer(request)))


def _file(name: str, content: bytes) -> HttpResponse:
    headers = {"Content-Disposition": f'inline; filename="{name}"'}
    return HttpResponse(content, content_type="application/pdf", headers=headers)
