"""Ways to ship."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from shared_lib.models import BaseModel


class ShippingMethod(BaseModel):
    """A way to ship to one country. `code` is what the buyer chooses; it may stand for other prices in other countries.

    `price_amount` is for parcels of up to `included_grams` (null: of any weight); each kilogram begun beyond costs
    `kilogram_amount` more. Goods for `free_from_amount` or more, before any discount, ship free. Nothing over `max_grams` ships.
    """

    country = models.CharField(max_length=2)
    code = models.SlugField(max_length=40, db_index=False)
    name = models.CharField(max_length=120)
    price_amount = models.BigIntegerField()
    included_grams = models.PositiveIntegerField(null=True)
    kilogram_amount = models.PositiveBigIntegerField(default=0, db_default=0)
    free_from_amount = models.PositiveBigIntegerField(null=True)
    max_grams = models.PositiveIntegerField(null=True)
    currency = models.CharField(max_length=3)
    min_days = models.PositiveSmallIntegerField()
    max_days = models.PositiveSmallIntegerField()
    is_active = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["country", "code"], name="shippingmethod_one_code_a_country"),
            models.CheckConstraint(
                condition=Q(price_amount__gte=0), name="shippingmethod_price_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(min_days__lte=F("max_days")), name="shippingmethod_days_in_order"
            ),
        ]

    def takes(self, grams: int) -> bool:
        """Whether a parcel of this weight may go this way."""
        return self.max_grams is None or grams <= self.max_grams

    def price_of(self, *, goods: int, grams: int) -> int:
        """What it costs to ship goods worth `goods` (minor units) that weigh `grams`."""
        if self.free_from_amount is not None and goods >= self.free_from_amount:
            return 0
        beyond = 0 if self.included_grams is None else max(0, grams - self.included_grams)
        return self.price_amount + -(-beyond // 1000) * self.kilogram_amount
