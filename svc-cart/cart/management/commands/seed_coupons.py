"""`manage.py seed_coupons`: the coupon of the demo shop. Running it again changes nothing."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from cart import services
from cart.exceptions import CouponCodeTaken
from cart.models import CouponKind

CODE = "WELCOME10"


class Command(BaseCommand):
    help = f"Makes {CODE}: 10 % off, once for each user."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            services.create_coupon(
                code=CODE,
                kind=CouponKind.PERCENT,
                basis_points=1000,
                user_limit=1,
                description="10 % off your first order",
            )
        except CouponCodeTaken:
            self.stdout.write(f"{CODE} is there already.")
        else:
            self.stdout.write(f"{CODE} was made.")
