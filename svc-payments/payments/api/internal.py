"""What svc-orders calls. Payloads: `shared_lib.contracts.internal.payments`."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from payments import selectors, services
from payments.api.card_numbers import without_card_numbers
from payments.models import Payment, Refund
from shared_lib.api.internal import InternalAPIView
from shared_lib.contracts.internal import payments as contract
from shared_lib.exceptions import InvalidValue


class OrdersView(InternalAPIView):
    callers = frozenset({"svc-orders"})


class PaymentsView(OrdersView):
    def post(self, request: Request) -> Response:
        body = self.read(request, contract.PaymentRequest)
        payment, created = services.create_payment(
            payment_id=body.payment_id,
            order_id=body.order_id,
            user_id=body.user_id,
            amount=body.amount,
            provider=body.provider,
        )
        return self.write(_payment(payment), status=201 if created else 200)


class PaymentView(OrdersView):
    def get(self, request: Request, payment_id: UUID) -> Response:
        return self.write(_payment(selectors.payment_for_service(payment_id=payment_id)))


class PaymentCancelView(OrdersView):
    def post(self, request: Request, payment_id: UUID) -> Response:
        return self.write(_payment(services.cancel_payment(payment_id=payment_id)))


class PaymentRefundsView(OrdersView):
    def post(self, request: Request, payment_id: UUID) -> Response:
        body = self.read(request, contract.RefundRequest)
        if len(body.reason) > 500 or "\x00" in body.reason:
            raise InvalidValue("reason", "Must have at most 500 characters, none of them NUL.")
        refund, created = services.request_refund(
            payment_id=payment_id,
            refund_id=body.refund_id,
            amount=body.amount,
            reason=without_card_numbers(body.reason),
        )
        return self.write(_refund(refund), status=201 if created else 200)


def _payment(payment: Payment) -> contract.Payment:
    return contract.Payment(
        id=payment.id,
        order_id=payment.order_id,
        user_id=payment.user_id,
        version=payment.version,
        status=cast("contract.PaymentStatus", payment.status),
        amount=payment.amount,
        refunded=payment.refunded,
        provider=payment.provider,
        action=contract.PaymentAction(type="redirect", url=payment.action_url)
        if payment.action_url
        else None,
    )


def _refund(refund: Refund) -> contract.Refund:
    return contract.Refund(
        id=refund.id, payment_id=refund.payment_id, amount=refund.amount, status=cast("Any", refund.status)
    )
