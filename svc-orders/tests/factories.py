"""Rows as the services make them, for tests that do not care how they came to be."""

from __future__ import annotations

from typing import Any

import factory
from django.utils import timezone

from orders.models import (
    Order,
    OrderHistory,
    OrderLine,
    OrderPayment,
    OrderStatus,
    PaymentState,
    ShippingMethod,
)
from orders.services.placing import new_number
from shared_lib.ids import uuid7


class ShippingMethodFactory(factory.django.DjangoModelFactory[ShippingMethod]):
    class Meta:
        model = ShippingMethod

    country = "GB"
    code = "standard"
    name = "Tracked 48"
    price_amount = 399
    currency = "USD"
    min_days = 2
    max_days = 4


class OrderFactory(factory.django.DjangoModelFactory[Order]):
    """An unpaid order of one line of 19.99 and 3.99 shipping."""

    class Meta:
        model = Order

    currency = "USD"
    status = OrderStatus.AWAITING_PAYMENT
    subtotal_amount = 1999
    shipping_amount = 399
    total_amount = 2398
    cart_version = 1

    @classmethod
    def _create(cls, model_class: type[Order], *args: Any, **values: Any) -> Order:
        now = timezone.now()
        order = Order(
            **{
                "user_id": uuid7(),
                "number": new_number(),
                "shipping_address": {"full_name": "Ada Lovelace", "country": "GB"},
                "cart_id": uuid7(),
                "expires_at": now,
                "close_at": now,
                **values,
            }
        )
        order.payment = OrderPayment(
            order=order,
            provider="sandbox",
            currency="USD",
            amount=2398,
            status=PaymentState.REQUIRES_PAYMENT_METHOD,
            version=1,
        )
        order.save(force_insert=True)
        order.payment.save(force_insert=True)
        OrderHistory.objects.create(order=order, status=order.status, at=now)
        OrderLine.objects.create(
            order=order,
            position=0,
            variant_id=uuid7(),
            product_id=uuid7(),
            seller_id=uuid7(),
            sku="SKU-1",
            name="Thing",
            quantity=1,
            unit_price_amount=1999,
            line_total_amount=1999,
        )
        return order
