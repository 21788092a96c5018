"""Rows as the services make them, for tests that do not care how they came to be."""

from __future__ import annotations

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
        skip_postgeneration_save = True

    user_id = factory.LazyFunction(uuid7)
    number = factory.LazyFunction(new_number)
    status = OrderStatus.AWAITING_PAYMENT
    currency = "USD"
    subtotal_amount = 1999
    shipping_amount = 399
    total_amount = 2398
    shipping_address = factory.LazyFunction(lambda: {"full_name": "Ada Lovelace", "country": "GB"})
    cart_id = factory.LazyFunction(uuid7)
    cart_version = 1
    expires_at = factory.LazyFunction(timezone.now)
    close_at = factory.LazyFunction(timezone.now)

    @factory.post_generation
    def parts(self, create: bool, extracted: object, **kwargs: object) -> None:
        OrderLine.objects.create(
            order=self,
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
        OrderHistory.objects.create(order=self, status=self.status, at=timezone.now())
        self.payment = OrderPayment.objects.create(
            order=self,
            provider="sandbox",
            currency="USD",
            amount=2398,
            status=PaymentState.REQUIRES_PAYMENT_METHOD,
            version=1,
        )
        self.save()
