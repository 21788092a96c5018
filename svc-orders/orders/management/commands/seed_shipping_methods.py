"""`manage.py seed_shipping_methods`: the shipping methods of the demo shop. Running it again changes nothing."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from orders import services

# country: (code, name, price in minor units, fewest and most days, heaviest parcel in grams)
METHODS = {
    "GB": [
        ("standard", "Royal Mail Tracked 48", 399, 2, 4, 30_000),
        ("express", "DPD Next Day", 899, 1, 1, 30_000),
        ("pickup", "InPost locker", 249, 2, 3, 20_000),
    ],
    "DE": [
        ("standard", "DHL Paket", 499, 2, 3, 30_000),
        ("express", "DHL Express", 1290, 1, 1, 30_000),
        ("pickup", "Hermes PaketShop", 389, 2, 4, 20_000),
    ],
    "US": [
        ("economy", "USPS Ground Advantage", 499, 3, 7, 30_000),
        ("standard", "UPS Ground", 799, 2, 5, 30_000),
        ("express", "FedEx 2Day", 1999, 1, 2, 30_000),
    ],
    "CN": [
        ("standard", "China Post", 199, 3, 6, 30_000),
        ("express", "SF Express", 399, 1, 2, 30_000),
    ],
}


# Two kilograms are in the price; what is cheapest to a country is free from a value of goods on, in minor units.
_INCLUDED_GRAMS = 2000
_KILOGRAM_SHARE = 4
_FREE_FROM = 15_000


class Command(BaseCommand):
    help = "Creates the shipping methods to GB, DE, US and CN."

    def handle(self, *args: Any, **options: Any) -> None:
        created = 0
        for country, methods in METHODS.items():
            cheapest = min(method[2] for method in methods)
            for code, name, price, min_days, max_days, max_grams in methods:
                created += services.add_shipping_method(
                    country=country,
                    code=code,
                    name=name,
                    price_amount=price,
                    currency=settings.SHOP_CURRENCY,
                    min_days=min_days,
                    max_days=max_days,
                    included_grams=_INCLUDED_GRAMS,
                    kilogram_amount=price // _KILOGRAM_SHARE,
                    free_from_amount=_FREE_FROM if price == cheapest else None,
                    max_grams=max_grams,
                )
        total = sum(len(methods) for methods in METHODS.values())
        self.stdout.write(f"{total} shipping methods to {len(METHODS)} countries, {created} of them new.")
