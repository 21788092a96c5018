"""The fixtures that every service uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import pytest

from shared_lib.contracts.events import Event
from shared_lib.testing.tokens import TestJWKS
from shared_lib.testing.upstream import Upstreams

if TYPE_CHECKING:
    from shared_lib.testing.clients import Api, ShopClient

__all__ = ["_access_token_keys", "api", "deliver", "internal", "jwks", "published", "upstream"]

E = TypeVar("E", bound=Event)


@pytest.fixture(scope="session")
def jwks() -> TestJWKS:
    return TestJWKS()


@pytest.fixture(autouse=True)
def _access_token_keys(jwks: TestJWKS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared_lib.auth.tokens._jwks", lambda: jwks)


@pytest.fixture
def api(jwks: TestJWKS) -> Api:
    from shared_lib.testing.clients import Api

    return Api(jwks)


@pytest.fixture
def internal(settings: Any) -> Callable[[str], ShopClient]:
    """`internal("svc-orders")`: a client that calls this service as svc-orders."""
    from shared_lib.testing.clients import internal_client

    return lambda caller: internal_client(caller, settings.SERVICE_NAME)


@pytest.fixture
def published(db: None) -> Callable[[type[E]], list[E]]:
    """`published(OrderPlaced)`: the events of that type in the outbox, oldest first."""
    from shared_lib.outbox.models import OutboxEvent

    def read(event_type: type[E]) -> list[E]:
        rows = OutboxEvent.objects.filter(type=event_type.event_type).order_by("created_at", "id")
        return [row.event for row in rows]  # type: ignore[misc]

    return read


@pytest.fixture
def deliver() -> Callable[..., list[UUID]]:
    """`deliver(PaymentSucceeded(...))`: gives events to this service as the broker would, through the real inbox."""
    from shared_lib.testing.delivery import deliver_events

    return deliver_events


@pytest.fixture
def upstream() -> Iterator[Upstreams]:
    """The other services, answered by functions of the test."""
    from shared_lib.http.client import use_transport

    upstreams = Upstreams()
    use_transport(upstreams.transport)
    yield upstreams
    use_transport(None)
