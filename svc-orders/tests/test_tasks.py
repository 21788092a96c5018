from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from celery import Celery
from django.utils import timezone

from orders import services, tasks
from orders.models import CheckoutSaga, Order, Refund
from shared_lib.exceptions import ServiceUnavailable
from tests.conftest import Buyer
from tests.shop import Shop


def _past() -> datetime:
    return timezone.now() - timedelta(seconds=1)


def test_the_clock_of_unpaid_orders(buyer: Buyer):
    buyer.place()
    Order.objects.update(close_at=_past())

    tasks.cancel_expired_orders()

    assert buyer.order().status == "cancelled"


def test_the_sweeper_of_checkouts_and_their_end(buyer: Buyer, shop: Shop):
    shop.take_away("pay")
    come_back = shop.take_away("release")
    with pytest.raises(ServiceUnavailable):
        buyer.place()
    come_back()
    CheckoutSaga.objects.update(deadline=_past())

    tasks.settle_checkouts()
    assert buyer.saga().step == "undone"

    CheckoutSaga.objects.update(deadline=_past())
    tasks.forget_checkouts()
    assert not Order.objects.exists()


def test_the_sender_of_refunds_and_its_sweeper(paid: Buyer, shop: Shop):
    services.cancel_order(order_id=paid.order().id, who=paid.id)
    refund = Refund.objects.get()

    tasks.send_refund(str(refund.id))
    assert list(shop.refunds) == [str(refund.id)]

    Refund.objects.update(status="pending", due_at=_past())
    tasks.send_due_refunds()
    refund.refresh_from_db()
    assert refund.status == "accepted"


def test_every_periodic_entry_names_a_task_that_exists():
    from config.celery import app

    assert isinstance(app, Celery)
    app.loader.import_default_modules()
    wanted = {
        entry["task"] for entry in app.conf.beat_schedule.values() if entry["task"].startswith("orders.")
    }
    assert len(wanted) == 4
    assert wanted <= set(app.tasks)
