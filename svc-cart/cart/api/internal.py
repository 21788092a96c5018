"""What other services call."""

from __future__ import annotations

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from cart import selectors, services
from shared_lib.api.internal import InternalAPIView
from shared_lib.contracts.internal.cart import CouponUse, CouponUseRequest


class CartSnapshotView(InternalAPIView):
    callers = frozenset({"svc-orders"})

    def get(self, request: Request, user_id: UUID) -> Response:
        return self.write(selectors.cart_snapshot(user_id=user_id))


class CartContentsView(InternalAPIView):
    callers = frozenset({"svc-notifications"})

    def get(self, request: Request, user_id: UUID) -> Response:
        return self.write(selectors.cart_contents(user_id=user_id))


class CouponUsesView(InternalAPIView):
    callers = frozenset({"svc-orders"})

    def post(self, request: Request) -> Response:
        wanted = self.read(request, CouponUseRequest)
        code, is_new = services.use_coupon(order_id=wanted.order_id, user_id=wanted.user_id, code=wanted.code)
        return self.write(CouponUse(order_id=wanted.order_id, code=code), status=201 if is_new else 200)


class CouponUseView(InternalAPIView):
    callers = frozenset({"svc-orders"})

    def delete(self, request: Request, order_id: UUID) -> Response:
        services.give_uses_back(order_id=order_id)
        return Response(status=204)
