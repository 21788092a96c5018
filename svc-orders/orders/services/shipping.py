"""Shipping methods."""

from __future__ import annotations

from django.db import transaction

from orders.models import ShippingMethod
from shared_lib.failpoints import around


@around("shipping.add_method")
@transaction.atomic
def add_shipping_method(
    *,
    country: str,
    code: str,
    name: str,
    price_amount: int,
    currency: str,
    min_days: int,
    max_days: int,
    included_grams: int | None = None,
    kilogram_amount: int = 0,
    free_from_amount: int | None = None,
    max_grams: int | None = None,
) -> bool:
    """Creates the method unless the country has one of this code already; says whether it is new."""
    _, created = ShippingMethod.objects.get_or_create(
        country=country,
        code=code,
        defaults={
            "name": name,
            "price_amount": price_amount,
            "currency": currency,
            "included_grams": included_grams,
            "kilogram_amount": kilogram_amount,
            "free_from_amount": free_from_amount,
            "max_grams": max_grams,
            "min_days": min_days,
            "max_days": max_days,
        },
    )
    return created
