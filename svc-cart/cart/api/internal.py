"""What other services call."""

from __future__ import annotations

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from cart import selectors
from shared_lib.api.internal import InternalAPIView


class CartSnapshotView(InternalAPIView):
    callers = frozenset({"svc-orders"})

    def get(self, request: Request, user_id: UUID) -> Response:
        return self.write(selectors.cart_snapshot(user_id=user_id))
