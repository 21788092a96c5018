"""Fixtures of svc-accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rest_framework.response import Response

from accounts import deny_list, services
from accounts.models import User
from accounts.services import TokenPair
from shared_lib.cache import redis_client
from tests.factories import PASSWORD, UserFactory

TOKEN = "/api/v1/accounts/token"


@pytest.fixture(autouse=True)
def _own_deny_list(monkeypatch: pytest.MonkeyPatch, worker_id: str) -> Iterator[None]:
    """The real Redis, with keys of this test process."""
    for name in ("ENTRIES", "VERSION"):
        monkeypatch.setattr(deny_list, name, f"test-{worker_id}:{getattr(deny_list, name)}")
    keys = (deny_list.ENTRIES, deny_list.VERSION)
    redis_client().delete(*keys)
    yield
    redis_client().delete(*keys)


@pytest.fixture
def user(db: None) -> User:
    return UserFactory.create()


@pytest.fixture
def pair(user: User) -> TokenPair:
    """A fresh session of `user`."""
    return services.sign_in(email=user.email, password=PASSWORD)


@pytest.fixture
def sign_in(api: Any) -> Callable[..., Response]:
    def post(email: str, password: str = PASSWORD, query: str = "") -> Response:
        response: Response = api.anonymous().post(TOKEN + query, {"email": email, "password": password})
        return response

    return post


@pytest.fixture
def denied() -> Callable[[], dict[str, float]]:
    """The deny list as the gateway would read it."""

    def read() -> dict[str, float]:
        entries: Any = redis_client().zrange(deny_list.ENTRIES, 0, -1, withscores=True)
        return {member.decode(): score for member, score in entries}

    return read
