"""POST /accounts/token/revoke, and the deny list that the gateway reads."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import redis
from django.db import transaction
from django.utils import timezone

from accounts import deny_list, services, tasks
from accounts.api import cookies
from accounts.models import OneTimeToken, Revocation, RevokeReason, Session, User
from accounts.refresh_tokens import RefreshToken
from accounts.services import TokenPair
from shared_lib.cache import redis_client
from shared_lib.contracts.events import SessionRevoked, UserDeactivated, UserUpdated
from shared_lib.testing.races import at_once
from tests.factories import PASSWORD

URL = "/api/v1/accounts/token/revoke"

# As another version of this service would write it.
SESSION_REVOKED = {
    "user_id": "019aab00-0000-7000-8000-000000000001",
    "session_id": "019aab00-0000-7000-8000-000000000002",
    "expires_at": "2126-11-22T12:00:00Z",
    "a_later_field": True,
}
USER_REVOKED = {
    "user_id": "019aab00-0000-7000-8000-000000000001",
    "issued_before": "2026-11-22T12:00:00Z",
    "expires_at": "2126-11-22T12:00:00Z",
}


@pytest.fixture
def revoke(api: Any) -> Any:
    return lambda token: api.anonymous().post(URL, {"refresh": token})


def version() -> int:
    return int(redis_client().get(deny_list.VERSION) or 0)


@pytest.mark.django_db(transaction=True)
class TestRevoke:
    def test_the_session_ends_and_the_gateway_is_told_at_once(
        self, pair: TokenPair, revoke: Any, denied: Any, published: Any
    ) -> None:
        response = revoke(pair.refresh)

        assert (response.status_code, response.content) == (204, b"")
        session = Session.objects.get()
        assert session.revoke_reason == RevokeReason.SIGNED_OUT
        (event,) = published(SessionRevoked)
        assert (event.session_id, event.user_id) == (session.pk, session.user_id)
        ((member, score),) = denied().items()
        assert member == f"sid:{session.pk}"
        # Not before the last access token has expired, and not for ever.
        assert time.time() + 600 < score < time.time() + 700
        assert version() > 0

    def test_a_second_time_is_answered_alike_and_changes_nothing(
        self, pair: TokenPair, revoke: Any, published: Any
    ) -> None:
        revoke(pair.refresh)
        before = version()

        assert revoke(pair.refresh).status_code == 204
        assert len(published(SessionRevoked)) == 1
        assert version() == before

    def test_a_spent_token_signs_out_too(self, pair: TokenPair, revoke: Any) -> None:
        services.refresh(token=pair.refresh)

        assert revoke(pair.refresh).status_code == 204
        assert Session.objects.get().revoked_at is not None

    def test_a_token_that_is_not_ours_changes_nothing(self, pair: TokenPair, revoke: Any) -> None:
        services.refresh(token=pair.refresh)
        session_id = Session.objects.get().pk
        for token in ("nonsense", RefreshToken(session_id, 0, b"x" * 32, b"y" * 16).encode()):
            assert revoke(token).status_code == 204
        assert Session.objects.get().revoked_at is None

    def test_without_any_token_it_is_a_422(self, api: Any) -> None:
        assert api.anonymous().post(URL).status_code == 422

    def test_a_browser_loses_its_cookie(self, user: User, api: Any) -> None:
        browser = api.anonymous()
        browser.post("/api/v1/accounts/token?cookie=true", {"email": user.email, "password": PASSWORD})

        response = browser.post(URL)

        assert response.status_code == 204
        cookie = response.cookies[cookies.NAME]
        assert (cookie.value, cookie["path"], cookie["max-age"]) == ("", cookies.PATH, 0)
        assert Session.objects.get().revoked_at is not None

    def test_what_is_rolled_back_is_denied_nobody(self, pair: TokenPair, denied: Any) -> None:
        with transaction.atomic():
            services.sign_out(token=pair.refresh)
            transaction.set_rollback(True)

        assert denied() == {}
        assert Session.objects.get().revoked_at is None

    def test_redis_away_does_not_fail_it(
        self, pair: TokenPair, revoke: Any, published: Any, denied: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        away = redis.Redis(port=1, socket_connect_timeout=0.1)
        with monkeypatch.context() as patch:
            patch.setattr("accounts.deny_list.redis_client", lambda: away)
            assert revoke(pair.refresh).status_code == 204
            services.copy_revocation(event=published(SessionRevoked)[0])
            assert services.repair_deny_list() == 0
        assert denied() == {}

        services.copy_revocation(event=published(SessionRevoked)[0])

        assert list(denied()) == [f"sid:{Session.objects.get().pk}"]

    def test_signing_out_and_refreshing_at_once_leave_no_session(self, pair: TokenPair) -> None:
        at_once(lambda: services.sign_out(token=pair.refresh), lambda: services.refresh(token=pair.refresh))

        assert Session.objects.get().revoked_at is not None

    def test_signing_out_several_times_at_once_is_one_revocation(
        self, pair: TokenPair, published: Any
    ) -> None:
        assert at_once(*[lambda: services.sign_out(token=pair.refresh)] * 4) == [None] * 4
        assert len(published(SessionRevoked)) == 1


@pytest.mark.django_db(transaction=True)
class TestDeactivation:
    def test_nothing_that_was_handed_out_works_on(
        self, user: User, pair: TokenPair, sign_in: Any, published: Any, denied: Any
    ) -> None:
        now = time.time()

        services.deactivate_user(user_id=user.pk)

        assert sign_in(user.email).status_code == 401
        assert published(UserUpdated) == [UserUpdated(user_id=user.pk, version=2, language="en")]
        assert published(UserDeactivated) == [UserDeactivated(user_id=user.pk, version=2)]
        of_session, of_user = published(SessionRevoked)
        assert of_session.session_id == Session.objects.get().pk
        assert of_user.issued_before is not None
        assert of_user.issued_before.microsecond == 0
        assert now < of_user.issued_before.timestamp() <= now + 3
        members = set(denied())
        assert members == {
            f"sid:{of_session.session_id}",
            f"sub:{user.pk}:{int(of_user.issued_before.timestamp())}",
        }


@pytest.mark.django_db
class TestOwnConsumer:
    @pytest.fixture
    def hinted(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        calls: list[Any] = []
        monkeypatch.setattr(
            "accounts.services.revocations.enqueue", lambda task, *args: calls.append((task, args))
        )
        return calls

    @pytest.mark.parametrize(
        ("data", "member"),
        [
            (SESSION_REVOKED, "sid:019aab00-0000-7000-8000-000000000002"),
            (USER_REVOKED, "sub:019aab00-0000-7000-8000-000000000001:1795348800"),
        ],
    )
    def test_session_revoked_writes_the_deny_list_again(
        self, deliver: Any, hinted: list[Any], denied: Any, data: Any, member: str
    ) -> None:
        deliver(("session.revoked.v1", data))

        ((task, args),) = hinted
        task(*args)
        assert denied() == {member: datetime(2126, 11, 22, 12, tzinfo=UTC).timestamp()}

    def test_an_old_event_is_not_worth_a_job(self, deliver: Any, hinted: list[Any]) -> None:
        deliver(("session.revoked.v1", {**SESSION_REVOKED, "expires_at": "2026-01-01T00:00:00Z"}))

        assert hinted == []


@pytest.mark.django_db
class TestPeriodicTasks:
    def revocation(self, **fields: Any) -> Revocation:
        defaults = {
            "user_id": UUID(int=1),
            "session_id": UUID(int=2),
            "expires_at": timezone.now() + timedelta(minutes=5),
        }
        return Revocation.objects.create(**{**defaults, **fields})

    def test_a_redis_that_lost_everything_is_filled_again(self, denied: Any) -> None:
        self.revocation()
        self.revocation(session_id=None, issued_before=datetime(2026, 11, 22, 12, tzinfo=UTC))
        self.revocation(session_id=UUID(int=3), expires_at=timezone.now() - timedelta(minutes=1))

        tasks.repair_deny_list()

        assert set(denied()) == {f"sid:{UUID(int=2)}", f"sub:{UUID(int=1)}:1795348800"}

    def test_where_nothing_is_missing_nothing_is_written(self, denied: Any) -> None:
        self.revocation()
        tasks.repair_deny_list()
        before = version()

        assert services.repair_deny_list() == 0
        assert version() == before

    def test_one_entry_wanted_twice_is_one_entry(self) -> None:
        for _ in range(2):
            self.revocation(session_id=None, issued_before=datetime(2026, 11, 22, 12, tzinfo=UTC))
        tasks.repair_deny_list()

        assert services.repair_deny_list() == 0

    def test_what_has_expired_is_dropped_from_redis(self, denied: Any) -> None:
        redis_client().zadd(deny_list.ENTRIES, {"sid:old": time.time() - 5, "sid:live": time.time() + 60})

        tasks.repair_deny_list()

        assert list(denied()) == ["sid:live"]

    def test_the_version_never_starts_again_where_a_gateway_has_been(self) -> None:
        self.revocation()
        tasks.repair_deny_list()
        before = version()
        redis_client().delete(deny_list.ENTRIES, deny_list.VERSION)
        time.sleep(0.01)

        tasks.repair_deny_list()

        assert version() > before

    def test_what_has_expired_is_forgotten(self, user: User, pair: TokenPair) -> None:
        old = timezone.now() - timedelta(seconds=1)
        ended = services.sign_in(email=user.email, password=PASSWORD)
        session = RefreshToken.parse(ended.refresh)
        assert session is not None
        Session.objects.filter(pk=session.session_id).update(expires_at=old)
        self.revocation(expires_at=old)
        kept = self.revocation()
        OneTimeToken.objects.create(user=user, purpose="verify_email", token_hash=b"x" * 32, expires_at=old)

        tasks.forget_expired()

        assert [s.pk for s in Session.objects.all()] == [RefreshToken.parse(pair.refresh).session_id]  # type: ignore[union-attr]
        assert list(Revocation.objects.all()) == [kept]
        assert not OneTimeToken.objects.exists()

    def test_a_run_takes_a_bounded_number(self, user: User) -> None:
        for number in range(3):
            self.revocation(session_id=UUID(int=number), expires_at=timezone.now() - timedelta(seconds=1))

        assert services.forget_expired(limit=2) == 2
        assert services.forget_expired(limit=2) == 1

    @pytest.mark.django_db(transaction=True)
    def test_doubled_beats_do_not_disturb_each_other(self) -> None:
        for number in range(20):
            self.revocation(session_id=UUID(int=number), expires_at=timezone.now() - timedelta(seconds=1))

        results = at_once(*[services.forget_expired] * 3)

        assert sum(result for result in results if isinstance(result, int)) == 20
