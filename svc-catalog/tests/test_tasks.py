"""tasks: each calls one service function and may run twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from catalog import tasks
from catalog.models import Product, Reservation, Variant
from catalog.services.reservations import reserve
from shared_lib.contracts.internal.catalog import ReservationLineRequest
from tests.factories import make_product, new_id, variant_of
from tests.orders import sell_reservation

pytestmark = pytest.mark.django_db


def hold(variant: Variant) -> UUID:
    order_id = new_id()
    reserve(order_id=order_id, lines=[ReservationLineRequest(variant_id=variant.pk, quantity=1)])
    return order_id


def test_expired_reservations_are_released(stock_of: Any) -> None:
    variant = variant_of(make_product(stock=[3]))
    hold(variant)
    Reservation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    tasks.release_expired_reservations()
    tasks.release_expired_reservations()

    assert stock_of(variant.pk) == (3, 0, 3)


def test_sales_are_counted_once() -> None:
    product = make_product(stock=[3])
    sell_reservation(order_id=hold(variant_of(product)), order_version=2, lines=[])

    tasks.count_sales()
    tasks.count_sales()

    assert Product.objects.values_list("popularity", flat=True).get(pk=product.pk) == 1


def test_the_beat_names_tasks_that_exist() -> None:
    from config.celery import app

    app.loader.import_default_modules()
    named = {
        entry["task"] for entry in app.conf.beat_schedule.values() if entry["task"].startswith("catalog.")
    }
    assert named == {"catalog.tasks.release_expired_reservations", "catalog.tasks.count_sales"}
    assert named <= set(app.tasks)
