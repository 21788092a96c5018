"""POST /accounts/token/refresh: rotation, the grace, reuse."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts import services
from accounts.api import cookies
from accounts.exceptions import RefreshReused
from accounts.models import Revocation, Session, User
from accounts.refresh_tokens import RefreshToken
from accounts.services import TokenPair
from shared_lib.auth.tokens import verify_access_token
from shared_lib.contracts.events import SessionRevoked
from shared_lib.testing.races import at_once
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db

URL = "/api/v1/accounts/token/refresh"


@pytest.fixture
def refresh(api: Any) -> Any:
    return lambda token: api.anonymous().post(URL, {"refresh": token})


def wait(seconds: float) -> None:
    """Lets time pass for every session."""
    for session in Session.objects.all():
        session.spent_at = [at - timedelta(seconds=seconds) for at in session.spent_at]
        session.last_seen_at -= timedelta(seconds=seconds)
        session.expires_at -= timedelta(seconds=seconds)
        session.save()


def test_a_refresh_token_gives_a_new_pair_of_the_same_session(pair: TokenPair, refresh: Any) -> None:
    response = refresh(pair.refresh)

    assert response.status_code == 200
    answer = response.json()
    assert set(answer) == {"access", "refresh", "token_type", "expires_in"}
    assert answer["refresh"] != pair.refresh
    old, new = verify_access_token(pair.access), verify_access_token(answer["access"])
    assert (old["sid"], old["sub"]) == (new["sid"], new["sub"])
    assert old["jti"] != new["jti"]


def test_no_token_is_kept_in_the_database(pair: TokenPair) -> None:
    token = RefreshToken.parse(pair.refresh)
    assert token is not None
    row = repr(Session.objects.values().get())
    assert pair.refresh not in row
    assert repr(token.secret)[2:-1] not in row


def test_a_chain_goes_on(pair: TokenPair, refresh: Any) -> None:
    token = pair.refresh
    for _ in range(5):
        token = refresh(token).json()["refresh"]
        wait(60)

    session = Session.objects.get()
    assert (session.generation, len(session.spent_at)) == (5, 1)


def test_a_refresh_takes_one_lock_one_read_and_one_write(
    pair: TokenPair, refresh: Any, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(5):  # savepoint, lock, read, write, release
        refresh(pair.refresh)


def test_each_refresh_prolongs_the_session(pair: TokenPair, refresh: Any, settings: Any) -> None:
    wait(20 * 86400)
    refresh(pair.refresh)

    left = Session.objects.get().expires_at - timezone.now()
    assert (
        timedelta(seconds=settings.SESSION_SECONDS - 60) < left <= timedelta(seconds=settings.SESSION_SECONDS)
    )


def test_roles_are_those_of_the_moment(user: User, pair: TokenPair, refresh: Any) -> None:
    User.objects.filter(pk=user.pk).update(roles=["customer", "seller"])

    assert verify_access_token(refresh(pair.refresh).json()["access"])["roles"] == ["customer", "seller"]


class TestWithinTheGrace:
    def test_the_spent_token_gives_the_same_successor(self, pair: TokenPair, refresh: Any) -> None:
        first, second, third = (refresh(pair.refresh).json() for _ in range(3))

        assert first["refresh"] == second["refresh"] == third["refresh"]
        assert first["access"] != second["access"]
        assert Session.objects.get().generation == 1

    def test_it_does_so_some_seconds_later(self, pair: TokenPair, refresh: Any) -> None:
        successor = refresh(pair.refresh).json()["refresh"]
        wait(5)

        assert refresh(pair.refresh).json()["refresh"] == successor

    def test_it_does_so_even_when_the_successor_is_spent_too(self, pair: TokenPair, refresh: Any) -> None:
        second = refresh(pair.refresh).json()["refresh"]
        third = refresh(second).json()["refresh"]

        assert refresh(pair.refresh).json()["refresh"] == second
        assert refresh(second).json()["refresh"] == third
        assert Session.objects.get().generation == 2

    def test_it_does_so_while_the_secret_key_is_rotated(
        self, pair: TokenPair, refresh: Any, settings: Any
    ) -> None:
        successor = refresh(pair.refresh).json()["refresh"]
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another" * 10

        assert refresh(pair.refresh).json()["refresh"] == successor
        assert refresh(successor).status_code == 200

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("times", [2, 6])
    def test_refreshes_at_once_get_the_same_successor(self, pair: TokenPair, times: int) -> None:
        pairs = at_once(*[lambda: services.refresh(token=pair.refresh)] * times)

        assert len({result.refresh for result in pairs}) == 1
        assert len({result.access for result in pairs}) == times
        assert Session.objects.get().generation == 1


class TestAfterTheGrace:
    def test_the_spent_token_ends_the_session(
        self, pair: TokenPair, refresh: Any, published: Any, denied: Any
    ) -> None:
        successor = refresh(pair.refresh).json()["refresh"]
        wait(11)

        response = refresh(pair.refresh)

        assert (response.status_code, response.json()["code"]) == (401, "refresh_reused")
        session = Session.objects.get()
        assert session.revoked_at is not None
        (event,) = published(SessionRevoked)
        assert (event.session_id, event.user_id, event.issued_before) == (session.pk, session.user_id, None)
        assert Revocation.objects.get().session_id == session.pk
        assert (refresh(successor).status_code, refresh(successor).json()["code"]) == (401, "refresh_reused")

    def test_a_token_spent_long_ago_is_known_too(self, pair: TokenPair, refresh: Any) -> None:
        token = pair.refresh
        for _ in range(4):
            token = refresh(token).json()["refresh"]
            wait(600)

        assert refresh(pair.refresh).json()["code"] == "refresh_reused"
        assert refresh(token).json()["code"] == "refresh_reused"

    def test_other_sessions_of_the_user_go_on(self, user: User, pair: TokenPair, refresh: Any) -> None:
        other = services.sign_in(email=user.email, password=PASSWORD)
        refresh(pair.refresh)
        wait(11)
        refresh(pair.refresh)

        assert refresh(other.refresh).status_code == 200

    @pytest.mark.django_db(transaction=True)
    def test_reuse_at_once_ends_the_session_once(self, pair: TokenPair, published: Any, denied: Any) -> None:
        services.refresh(token=pair.refresh)
        wait(11)

        results = at_once(*[lambda: services.refresh(token=pair.refresh)] * 4)

        assert [type(result) for result in results] == [RefreshReused] * 4
        assert len(published(SessionRevoked)) == 1
        assert list(denied()) == [f"sid:{Session.objects.get().pk}"]

    @pytest.mark.django_db(transaction=True)
    def test_reuse_and_refresh_at_once_leave_no_session(self, pair: TokenPair) -> None:
        successor = services.refresh(token=pair.refresh).refresh
        wait(11)

        at_once(lambda: services.refresh(token=pair.refresh), lambda: services.refresh(token=successor))

        assert Session.objects.get().revoked_at is not None


class TestForgery:
    """Nobody ends or takes over a session with a token that we did not make."""

    def assert_harmless(self, refresh: Any, token: str) -> None:
        response = refresh(token)
        assert (response.status_code, response.json()["code"]) == (401, "refresh_invalid")
        assert Session.objects.get().revoked_at is None

    def test_a_random_text_is_refused_without_a_query(
        self, refresh: Any, django_assert_num_queries: Any
    ) -> None:
        with django_assert_num_queries(0):
            for text in ("nonsense", "rt_", "rt_" + "A" * 90, "rt_" + "!" * 91, "rt_" + "é" * 91):
                assert refresh(text).json()["code"] == "refresh_invalid"

    def test_an_unknown_session_is_refused(self, pair: TokenPair, refresh: Any) -> None:
        self.assert_harmless(refresh, RefreshToken.first_of(uuid4()).encode())

    def test_a_made_up_earlier_token_of_a_known_session_is_refused(
        self, pair: TokenPair, refresh: Any
    ) -> None:
        current = RefreshToken.parse(refresh(pair.refresh).json()["refresh"])
        assert current is not None
        forged = RefreshToken(current.session_id, 0, b"x" * 32, b"y" * 16)

        self.assert_harmless(refresh, forged.encode())
        wait(11)
        self.assert_harmless(refresh, forged.encode())

    def test_a_current_token_with_one_bit_changed_is_refused(self, pair: TokenPair, refresh: Any) -> None:
        token = RefreshToken.parse(pair.refresh)
        assert token is not None
        flipped = bytes([token.secret[0] ^ 1]) + token.secret[1:]

        self.assert_harmless(refresh, RefreshToken(token.session_id, 0, flipped, token.tag).encode())

    def test_who_knows_the_secret_key_alone_gets_nothing(self, pair: TokenPair, refresh: Any) -> None:
        refresh(pair.refresh)
        session_id = Session.objects.get().pk

        response = refresh(RefreshToken.first_of(session_id).encode())

        assert response.status_code == 401

    def test_a_token_of_the_future_is_refused(self, pair: TokenPair, refresh: Any) -> None:
        token = RefreshToken.parse(pair.refresh)
        assert token is not None

        self.assert_harmless(refresh, token.successor().encode())

    def test_an_access_token_is_no_refresh_token(self, pair: TokenPair, refresh: Any) -> None:
        self.assert_harmless(refresh, pair.access[:500])


@pytest.mark.parametrize("case", ["expired", "revoked", "deleted", "deactivated"])
def test_an_ended_session_cannot_be_refreshed(user: User, pair: TokenPair, refresh: Any, case: str) -> None:
    match case:
        case "expired":
            wait(31 * 86400)
        case "revoked":
            services.sign_out(token=pair.refresh)
        case "deleted":
            Session.objects.all().delete()
        case "deactivated":
            User.objects.filter(pk=user.pk).update(is_active=False)

    response = refresh(pair.refresh)

    assert (response.status_code, response.json()["code"]) == (401, "refresh_invalid")


def test_a_body_without_a_token_is_a_422(api: Any) -> None:
    response = api.anonymous().post(URL, {})

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "refresh"


class TestCookie:
    @pytest.fixture
    def browser(self, user: User, api: Any) -> Any:
        client = api.anonymous()
        client.post("/api/v1/accounts/token?cookie=true", {"email": user.email, "password": PASSWORD})
        return client

    def test_a_cookie_is_answered_with_a_cookie(self, browser: Any) -> None:
        before = browser.cookies[cookies.NAME].value

        response = browser.post(URL)

        assert set(response.json()) == {"access", "token_type", "expires_in"}
        assert response.cookies[cookies.NAME].value not in ("", before)
        assert browser.post(URL).status_code == 200

    def test_the_body_wins_over_the_cookie(self, browser: Any, pair: TokenPair) -> None:
        response = browser.post(URL, {"refresh": pair.refresh})

        assert (
            verify_access_token(response.json()["access"])["sid"] == verify_access_token(pair.access)["sid"]
        )
        assert "refresh" in response.json()

    def test_a_token_of_the_body_may_become_a_cookie(self, pair: TokenPair, api: Any) -> None:
        response = api.anonymous().post(URL + "?cookie=true", {"refresh": pair.refresh})

        assert "refresh" not in response.json()
        assert response.cookies[cookies.NAME].value.startswith("rt_")
