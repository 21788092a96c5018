"""GET /accounts/me/sessions and the end of one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts import services
from accounts.models import RevokeReason, Session, User
from accounts.services import TokenPair
from shared_lib.contracts.events import SessionRevoked
from shared_lib.ids import uuid7
from tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db

URL = "/api/v1/accounts/me/sessions"


@pytest.fixture
def me(api: Any, pair: TokenPair) -> Any:
    """A client in the session of `pair`."""
    client = api.anonymous()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {pair.access}")
    return client


def test_the_list_tells_devices_and_which_one_asks(
    me: Any, user: User, django_assert_num_queries: Any
) -> None:
    services.sign_in(email=user.email, password=PASSWORD, user_agent="Phone/1.0" + "x" * 400)

    with django_assert_num_queries(1):
        results = me.get(URL).json()["results"]

    assert [(entry["device"][:9], entry["current"]) for entry in results] == [
        ("Phone/1.0", False),
        ("", True),
    ]
    assert set(results[0]) == {"id", "device", "current", "created_at", "last_seen_at"}


def test_what_has_ended_and_what_is_anothers_is_not_shown(me: Any, user: User, pair: TokenPair) -> None:
    services.sign_out(token=services.sign_in(email=user.email, password=PASSWORD).refresh)
    services.sign_in(email=UserFactory.create().email, password=PASSWORD)
    services.sign_in(email=user.email, password=PASSWORD)
    expired = Session.objects.filter(user=user).latest("created_at")
    Session.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(seconds=1))

    assert [entry["current"] for entry in me.get(URL).json()["results"]] == [True]


def test_one_can_be_ended(me: Any, user: User, published: Any) -> None:
    services.sign_in(email=user.email, password=PASSWORD)
    other = Session.objects.latest("created_at")

    assert me.delete(f"{URL}/{other.pk}").status_code == 204
    other.refresh_from_db()
    assert other.revoke_reason == RevokeReason.REMOVED_BY_USER
    assert [event.session_id for event in published(SessionRevoked)] == [other.pk]
    assert me.delete(f"{URL}/{other.pk}").status_code == 404


def test_another_persons_session_is_not_found(me: Any) -> None:
    services.sign_in(email=UserFactory.create().email, password=PASSWORD)
    theirs = Session.objects.latest("created_at")

    for session_id in (theirs.pk, uuid7()):
        assert me.delete(f"{URL}/{session_id}").status_code == 404
    assert Session.objects.get(pk=theirs.pk).revoked_at is None
