from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command

from orders.models import ShippingMethod

pytestmark = pytest.mark.django_db


def _seed() -> str:
    out = StringIO()
    call_command("seed_shipping_methods", stdout=out)
    return out.getvalue()


def test_the_seed_ships_to_four_countries_by_several_methods():
    _seed()

    for country in ("GB", "DE", "US", "CN"):
        assert ShippingMethod.objects.filter(country=country).count() >= 2
        assert ShippingMethod.objects.filter(country=country, code="standard").exists()


def test_seeding_again_changes_nothing():
    _seed()
    ShippingMethod.objects.filter(country="GB", code="express").update(price_amount=1)
    before = list(ShippingMethod.objects.order_by("id").values())

    assert "0 of them new" in _seed()

    assert list(ShippingMethod.objects.order_by("id").values()) == before
