"""For other services; the contract is `shared_lib.contracts.internal.catalog`."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.selectors import internal as selectors
from catalog.services import reservations
from shared_lib.api.internal import InternalAPIView
from shared_lib.contracts.internal import catalog as contract
from shared_lib.exceptions import InvalidValue

MAX_IDS = 100
MAX_LINES = 100
MAX_QUANTITY = 1_000_000


class VariantsView(InternalAPIView):
    callers = frozenset({"svc-cart", "svc-orders"})

    def get(self, request: Request) -> HttpResponse:
        ids = [_uuid("ids", value) for value in request.query_params.get("ids", "").split(",") if value]
        if len(ids) > MAX_IDS:
            raise InvalidValue("ids", f"At most {MAX_IDS} ids.", code="max_length")
        return HttpResponse(selectors.variants_json(ids), content_type="application/json")


class SnapshotView(InternalAPIView):
    callers = frozenset({"svc-cart"})

    def get(self, request: Request) -> HttpResponse:
        cursor = request.query_params.get("cursor")
        after = _uuid("cursor", cursor) if cursor else None
        return HttpResponse(selectors.snapshot_json(after), content_type="application/json")


class ReservationsView(InternalAPIView):
    callers = frozenset({"svc-orders"})

    def post(self, request: Request) -> Response:
        wanted = self.read(request, contract.ReservationRequest)
        if not 1 <= len(wanted.lines) <= MAX_LINES:
            raise InvalidValue("lines", f"From 1 to {MAX_LINES} lines.")
        for index, line in enumerate(wanted.lines):
            if not 1 <= line.quantity <= MAX_QUANTITY:
                raise InvalidValue(f"lines.{index}.quantity", f"From 1 to {MAX_QUANTITY}.")
        reservation, created = reservations.reserve(order_id=wanted.order_id, lines=wanted.lines)
        return self.write(reservation, status=201 if created else 200)


class ReservationView(InternalAPIView):
    callers = frozenset({"svc-orders"})

    def delete(self, request: Request, order_id: UUID) -> Response:
        reservations.undo_reservation(order_id=order_id)
        return Response(status=204)


def _uuid(field: str, value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise InvalidValue(field, "Must be a UUID.") from None
