from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
import pytest
import stamina
from django.db import connection

from orders import services
from orders.models import CheckoutSaga, Order, OrderPayment
from shared_lib.contracts.address import Address
from shared_lib.ids import uuid7
from tests.factories import ShippingMethodFactory
from tests.shop import ADDRESS, Shop
from tests.watching import Watch


@pytest.fixture(autouse=True)
def _calls_are_tried_once() -> Iterator[None]:
    """Retries of the client are tested with it; here they would only cost time."""
    stamina.set_testing(True, attempts=1)
    yield
    stamina.set_testing(False)


@pytest.fixture(autouse=True)
def watch() -> Iterator[Watch]:
    """Every test looks at what the services send to its connection."""
    seen = Watch()
    with connection.execute_wrapper(seen):
        yield seen


@pytest.fixture(autouse=True)
def hints(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[Any, ...]]]:
    """Tasks that were asked for; no broker takes part."""
    sent: list[tuple[str, tuple[Any, ...]]] = []
    monkeypatch.setattr(
        "shared_lib.jobs.hints._send", lambda task, args, kwargs: sent.append((task.name, args))
    )
    return sent


@pytest.fixture
def shop(db: None, upstream: Any) -> Shop:
    """The other services. They ship to GB by `standard`, and an express to the US."""
    ShippingMethodFactory.create()
    ShippingMethodFactory.create(country="US", code="express", price_amount=1999)
    return Shop(upstream)


@dataclass
class Buyer:
    """A signed-in user with a cart of two things at 19.99."""

    id: UUID
    shop: Shop
    variant: UUID
    destination: Address | UUID = field(default_factory=lambda: Address(**ADDRESS))

    def place(self, key: str = "key-1", *, body: bytes = b"body", **changes: Any) -> dict[str, Any]:
        """The answer of a checkout, by the service."""
        values: dict[str, Any] = {
            "shipping_method": "standard",
            "destination": self.destination,
            **changes,
        }
        request = services.CheckoutRequest(**values)
        placed = services.place_order(user_id=self.id, key=key, body_hash=body.ljust(32), request=request)
        answer: dict[str, Any] = orjson.loads(placed.answer)
        return answer

    def order(self) -> Order:
        """The one order the buyer has."""
        return Order.objects.placed().get(user_id=self.id)

    def saga(self) -> CheckoutSaga:
        return CheckoutSaga.objects.get(user_id=self.id)

    def payment_row(self) -> OrderPayment:
        """What this service knows of that order's current payment."""
        payment = self.order().payment
        assert payment is not None
        return payment

    def history(self) -> list[tuple[str, str, UUID | None]]:
        """Status, reason and author of each row."""
        return list(self.order().history.order_by("id").values_list("status", "reason", "who"))

    def payment(self) -> dict[str, Any]:
        """What svc-payments holds for that order."""
        return self.shop.payments[str(self.order().payment_id)]


@pytest.fixture
def make_buyer(shop: Shop) -> Callable[..., Buyer]:
    def make(variant: UUID | None = None, quantity: int = 2) -> Buyer:
        user_id = uuid7()
        variant = variant or shop.sell()
        shop.fill_cart(user_id, (variant, quantity))
        return Buyer(user_id, shop, variant)

    return make


@pytest.fixture
def buyer(make_buyer: Callable[..., Buyer]) -> Buyer:
    return make_buyer()


@pytest.fixture
def paid(buyer: Buyer, deliver: Any) -> Buyer:
    """A buyer whose order is confirmed."""
    from tests.messages import payment_succeeded

    buyer.place()
    deliver(payment_succeeded(buyer.shop.move_payment(buyer.order().payment_id, "succeeded")))
    return buyer
