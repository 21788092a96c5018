from __future__ import annotations

from factory.declarations import LazyFunction
from factory.django import DjangoModelFactory

from notifications.kinds import Kind
from notifications.models import Email, Notification
from shared_lib.models import uuid7

ORDER = {
    "order_id": "01938b8e-0000-7000-8000-0000000000f1",
    "number": "R4K7-92QX",
    "item_count": 3,
    "total": {"amount": 5000, "currency": "USD"},
}


class NotificationFactory(DjangoModelFactory[Notification]):
    class Meta:
        model = Notification

    user_id = LazyFunction(uuid7)
    event_id = LazyFunction(uuid7)
    kind = Kind.ORDER_CONFIRMED
    data = LazyFunction(ORDER.copy)


class EmailFactory(DjangoModelFactory[Email]):
    class Meta:
        model = Email

    user_id = LazyFunction(uuid7)
    event_id = LazyFunction(uuid7)
    kind = Kind.ORDER_CONFIRMED
    data = LazyFunction(ORDER.copy)
