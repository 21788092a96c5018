"""PDF documents."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.utils.translation import get_language
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from orders import selectors
from shared_lib.api.openapi import problems
from shared_lib.api.views import bearer

_PDF = {(200, "application/pdf"): OpenApiTypes.BINARY}
_IN_LANGUAGE = (
    "In the language of `Accept-Language` (en, de, zh) for the buyer; without that header, and for staff, in the one that "
    "the buyer spoke when ordering."
)


class InvoiceView(APIView):
    @extend_schema(
        operation_id="orders_invoice",
        summary="The invoice as PDF, once the order is confirmed",
        description=f"The user's own, or any for staff. {_IN_LANGUAGE} 409 `invoice_not_available` before.",
        responses={**_PDF, **problems(404, 409)},
    )
    def get(self, request: Request, order_id: UUID) -> HttpResponse:
        return _file(*selectors.get_invoice(order_id, user=bearer(request), language=_language(request)))


class CreditNoteView(APIView):
    @extend_schema(
        operation_id="orders_credit_note",
        summary="The credit note of a refund as PDF, once its money has moved",
        description=_IN_LANGUAGE,
        responses={**_PDF, **problems(404)},
    )
    def get(self, request: Request, order_id: UUID, refund_id: UUID) -> HttpResponse:
        return _file(
            *selectors.get_credit_note(order_id, refund_id, user=bearer(request), language=_language(request))
        )


def _language(request: Request) -> str | None:
    """What the client asks for, as far as it is spoken here; None if it does not say."""
    return get_language() if "Accept-Language" in request.headers else None


def _file(name: str, content: bytes) -> HttpResponse:
    headers = {"Content-Disposition": f'inline; filename="{name}"'}
    return HttpResponse(content, content_type="application/pdf", headers=headers)
