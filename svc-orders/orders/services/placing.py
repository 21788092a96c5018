"""Transaction 2 of a checkout: the rows that make a hidden draft an order."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

import msgspec
from django.conf import settings
from django.utils import timezone
from django.utils.translation import get_language

from orders import selectors
from orders.models import (
    PAYABLE_STATES,
    CheckoutSaga,
    Order,
    OrderHistory,
    OrderLine,
    OrderPayment,
    PaymentState,
    ShippingMethod,
)
from orders.services.payments import take_answer
from orders.services.transitions import state_of
from orders.totals import Totals
from shared_lib.contracts.address import Address
from shared_lib.contracts.events import OrderPlaced
from shared_lib.contracts.internal.cart import CartSnapshot
from shared_lib.contracts.internal.catalog import Reservation
from shared_lib.contracts.internal.payments import Payment
from shared_lib.events import publish

# Letters and digits that are not taken for one another when read aloud or from paper.
_NUMBER_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_NUMBER_LENGTH = 10


class Draft:
    """The order as it will be, with a new number each time it is made. Nothing is written before `write()`."""

    def __init__(
        self,
        saga: CheckoutSaga,
        cart: CartSnapshot,
        address: Address,
        method: ShippingMethod,
        reservation: Reservation,
        totals: Totals,
        payment: Payment,
    ) -> None:
        self.now = timezone.now()
        self.expires_at = self.now + timedelta(seconds=settings.ORDER_PAYMENT_WINDOW_SECONDS)
        self.order = Order(
            id=saga.order_id,
            version=0,
            created_at=self.now,
            user_id=saga.user_id,
            number=new_number(),
            currency=totals.currency,
            subtotal_amount=totals.subtotal,
            discount_amount=totals.discount,
            shipping_amount=totals.shipping,
            shipping_tax_amount=totals.shipping_tax,
            tax_amount=totals.tax,
            tax_included_amount=totals.tax_included,
            total_amount=totals.total,
            shipping_method=method.code,
            shipping_method_name=method.name,
            shipping_address=msgspec.to_builtins(address),
            cart_id=cart.cart_id,
            cart_version=cart.version,
            coupon_codes=list(totals.coupon_codes),
            language=get_language() or "",
            payment_id=payment.id,
            expires_at=self.expires_at,
            close_at=self.expires_at,
        )
        self.order.go("place")
        # A payment of nothing has succeeded already: `write()` lets that have its effect, as anything else that is not waiting.
        self.moved_on = payment if payment.status not in PAYABLE_STATES else None
        self.payment = OrderPayment(
            id=payment.id,
            order=self.order,
            provider=payment.provider,
            currency=payment.amount.currency,
            amount=payment.amount.amount,
            status=PaymentState.REQUIRES_PAYMENT_METHOD if self.moved_on else payment.status,
            version=0 if self.moved_on else payment.version,
            action=None if payment.action is None else msgspec.to_builtins(payment.action),
        )
        self.lines = [
            OrderLine(
                order=self.order,
                position=position,
                variant_id=line.variant_id,
                product_id=line.product_id,
                seller_id=line.seller_id,
                sku=line.sku,
                name=line.name,
                quantity=line.quantity,
                unit_price_amount=line.unit_price.amount,
                line_total_amount=line.unit_price.amount * line.quantity,
                discount_amount=discount,
                tax_amount=tax,
                weight_grams=line.weight_grams,
            )
            for position, (line, discount, tax) in enumerate(
                zip(reservation.lines, totals.line_discounts, totals.line_taxes, strict=True)
            )
        ]
        self.history = [
            OrderHistory(order=self.order, status=self.order.status, at=self.now, who=saga.user_id)
        ]

    def document(self) -> dict[str, Any]:
        """The order as the public contract writes it."""
        return selectors.order_document(
            self.order, payment=self.payment, lines=self.lines, history=self.history, shipments=[]
        )

    def write(self) -> None:
        """Raises `IntegrityError` of `order_number_unique` in the very rare case that the number is taken."""
        self.order.save(force_update=True)
        self.payment.save(force_insert=True)
        OrderLine.objects.bulk_create(self.lines)
        OrderHistory.objects.bulk_create(self.history)
        event = OrderPlaced(**state_of(self.order, self.lines), expires_at=self.expires_at)
        publish(event, subject=self.order.id)
        if self.moved_on is not None:
            take_answer(self.order, self.payment, self.moved_on)
            self.history = list(OrderHistory.objects.filter(order=self.order).order_by("pk"))


def new_number() -> str:
    """An order number that says nothing of how many there are."""
    letters = "".join(secrets.choice(_NUMBER_ALPHABET) for _ in range(_NUMBER_LENGTH))
    return f"{letters[:5]}-{letters[5:]}"
