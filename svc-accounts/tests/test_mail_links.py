"""Verifying the address, forgetting and changing the password."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts import services
from accounts.models import LinkPurpose, OneTimeToken, RevokeReason, Session, User
from accounts.refresh_tokens import RefreshToken
from accounts.services import TokenPair
from shared_lib.contracts.events import (
    SessionRevoked,
    UserPasswordResetRequested,
    UserUpdated,
    UserVerificationRequested,
)
from shared_lib.testing.races import at_once
from tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db

VERIFY = "/api/v1/accounts/email/verify"
RESEND = "/api/v1/accounts/email/verify/resend"
FORGOT = "/api/v1/accounts/password/forgot"
RESET = "/api/v1/accounts/password/reset"
CHANGE = "/api/v1/accounts/password/change"
NEW_PASSWORD = "a quite different one"


def token_of(user: User, purpose: LinkPurpose) -> str:
    return services.create_one_time_link(user_id=user.pk, purpose=purpose).url.partition("token=")[2]


@pytest.fixture
def verify_token(user: User) -> str:
    return token_of(user, LinkPurpose.VERIFY_EMAIL)


@pytest.fixture
def reset_token(user: User) -> str:
    return token_of(user, LinkPurpose.RESET_PASSWORD)


class TestVerify:
    def test_the_link_proves_the_address_and_ends_every_earlier_session(
        self, api: Any, user: User, pair: TokenPair, verify_token: str, published: Any
    ) -> None:
        response = api.anonymous().post(VERIFY, {"token": verify_token})

        assert (response.status_code, response.content) == (204, b"")
        user.refresh_from_db()
        assert (user.email_verified, user.version) == (True, 2)
        assert published(UserUpdated) == [UserUpdated(user_id=user.pk, version=2, language="en")]
        session = Session.objects.get()
        assert session.revoke_reason == RevokeReason.EMAIL_VERIFIED
        assert [event.session_id for event in published(SessionRevoked)] == [session.pk]

    def test_a_second_click_changes_nothing(self, api: Any, user: User, verify_token: str) -> None:
        api.anonymous().post(VERIFY, {"token": verify_token})
        services.sign_in(email=user.email, password=PASSWORD)

        assert api.anonymous().post(VERIFY, {"token": verify_token}).status_code == 204
        assert Session.objects.get().revoked_at is None

    def test_a_second_mail_does_not_spoil_the_first(self, api: Any, user: User, verify_token: str) -> None:
        token_of(user, LinkPurpose.VERIFY_EMAIL)

        assert api.anonymous().post(VERIFY, {"token": verify_token}).status_code == 204

    @pytest.mark.parametrize("case", ["unknown", "expired", "other purpose", "deactivated", "null character"])
    def test_any_other_link_is_refused(
        self, api: Any, user: User, verify_token: str, reset_token: str, case: str
    ) -> None:
        token = verify_token
        match case:
            case "unknown":
                token = "x" * 43
            case "expired":
                OneTimeToken.objects.update(expires_at=timezone.now())
            case "other purpose":
                token = reset_token
            case "deactivated":
                User.objects.update(is_active=False)
            case "null character":
                token = "a\0b"

        response = api.anonymous().post(VERIFY, {"token": token})

        assert response.status_code == 422
        assert response.json()["code"] == (
            "validation_failed" if case == "null character" else "link_invalid"
        )
        user.refresh_from_db()
        assert user.email_verified is False

    @pytest.mark.django_db(transaction=True)
    def test_two_clicks_at_once_are_one_change(
        self, user: User, pair: TokenPair, verify_token: str, published: Any
    ) -> None:
        assert at_once(*[lambda: services.verify_email(token=verify_token)] * 4) == [None] * 4
        assert len(published(UserUpdated)) == len(published(SessionRevoked)) == 1

    def test_no_token_is_kept_in_the_database(self, verify_token: str) -> None:
        assert verify_token not in repr(OneTimeToken.objects.values().get())


class TestMailsAsked:
    @pytest.mark.parametrize(
        ("url", "event"), [(RESEND, UserVerificationRequested), (FORGOT, UserPasswordResetRequested)]
    )
    def test_who_has_an_account_gets_a_mail(
        self, api: Any, user: User, published: Any, url: str, event: Any
    ) -> None:
        response = api.anonymous().post(url, {"email": user.email.upper()})

        assert (response.status_code, response.content) == (202, b"")
        assert published(event) == [event(user_id=user.pk)]

    @pytest.mark.parametrize(
        ("url", "event"), [(RESEND, UserVerificationRequested), (FORGOT, UserPasswordResetRequested)]
    )
    def test_the_answer_does_not_tell_who_has_one(
        self, api: Any, published: Any, url: str, event: Any
    ) -> None:
        UserFactory.create(email="gone@shop.test", is_active=False)

        for email in ("nobody@shop.test", "gone@shop.test"):
            response = api.anonymous().post(url, {"email": email})
            assert (response.status_code, response.content) == (202, b"")
        assert published(event) == []

    def test_a_verified_address_needs_no_mail(self, api: Any, published: Any) -> None:
        user = UserFactory.create(email_verified=True)

        assert api.anonymous().post(RESEND, {"email": user.email}).status_code == 202
        assert published(UserVerificationRequested) == []

    @pytest.mark.parametrize("url", [RESEND, FORGOT])
    def test_what_is_no_address_is_refused(self, api: Any, url: str) -> None:
        assert api.anonymous().post(url, {"email": "nonsense"}).status_code == 422


class TestReset:
    def test_the_link_sets_the_password_once_and_ends_every_session(
        self, api: Any, user: User, pair: TokenPair, reset_token: str, sign_in: Any, published: Any
    ) -> None:
        response = api.anonymous().post(RESET, {"token": reset_token, "password": NEW_PASSWORD})

        assert response.status_code == 204
        assert sign_in(user.email, PASSWORD).status_code == 401
        assert sign_in(user.email, NEW_PASSWORD).status_code == 200
        assert Session.objects.filter(revoke_reason=RevokeReason.PASSWORD_RESET).count() == 1
        assert len(published(SessionRevoked)) == 1
        again = api.anonymous().post(RESET, {"token": reset_token, "password": "yet another one"})
        assert (again.status_code, again.json()["code"]) == (422, "link_invalid")

    def test_who_has_the_link_holds_the_address(
        self, api: Any, user: User, reset_token: str, published: Any
    ) -> None:
        api.anonymous().post(RESET, {"token": reset_token, "password": NEW_PASSWORD})

        user.refresh_from_db()
        assert (user.email_verified, user.version) == (True, 2)
        assert [event.version for event in published(UserUpdated)] == [2]

    def test_all_links_of_the_kind_are_used_up(
        self, api: Any, user: User, reset_token: str, verify_token: str
    ) -> None:
        other = token_of(user, LinkPurpose.RESET_PASSWORD)
        api.anonymous().post(RESET, {"token": other, "password": NEW_PASSWORD})

        assert api.anonymous().post(RESET, {"token": reset_token, "password": PASSWORD}).status_code == 422
        assert api.anonymous().post(VERIFY, {"token": verify_token}).status_code == 204

    def test_a_weak_password_leaves_the_link_unused(self, api: Any, reset_token: str) -> None:
        response = api.anonymous().post(RESET, {"token": reset_token, "password": "12345678"})

        assert response.status_code == 422
        assert {error["field"] for error in response.json()["errors"]} == {"password"}
        assert (
            api.anonymous().post(RESET, {"token": reset_token, "password": NEW_PASSWORD}).status_code == 204
        )

    def test_a_verify_link_resets_nothing(self, api: Any, verify_token: str) -> None:
        response = api.anonymous().post(RESET, {"token": verify_token, "password": NEW_PASSWORD})

        assert response.json()["code"] == "link_invalid"

    @pytest.mark.django_db(transaction=True)
    def test_one_link_used_at_once_sets_one_password(self, user: User, reset_token: str) -> None:
        passwords = [f"different one {number}" for number in range(4)]
        results = at_once(
            *[
                lambda p=password: services.reset_password(token=reset_token, password=p)
                for password in passwords
            ]
        )

        winners = [password for password, result in zip(passwords, results, strict=True) if result is None]
        assert len(winners) == 1
        services.sign_in(email=user.email, password=winners[0])

    @pytest.mark.django_db(transaction=True)
    def test_a_sign_in_during_the_reset_does_not_outlive_it(self, user: User, reset_token: str) -> None:
        at_once(
            lambda: services.reset_password(token=reset_token, password=NEW_PASSWORD),
            lambda: services.sign_in(email=user.email, password=PASSWORD),
        )

        assert not Session.objects.filter(revoked_at__isnull=True).exists()


class TestChange:
    def test_all_other_sessions_end(self, api: Any, user: User, pair: TokenPair, sign_in: Any) -> None:
        mine = services.sign_in(email=user.email, password=PASSWORD)
        client = api.anonymous()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {mine.access}")

        response = client.post(CHANGE, {"old_password": PASSWORD, "new_password": NEW_PASSWORD})

        assert response.status_code == 204
        alive = Session.objects.get(revoked_at__isnull=True)
        assert alive.pk == RefreshToken.parse(mine.refresh).session_id  # type: ignore[union-attr]
        assert sign_in(user.email, PASSWORD).status_code == 401
        assert sign_in(user.email, NEW_PASSWORD).status_code == 200

    @pytest.mark.parametrize(
        ("old", "new", "field", "code"),
        [
            ("wrong", NEW_PASSWORD, "old_password", "incorrect"),
            (PASSWORD, "short", "new_password", "password_too_short"),
            (PASSWORD, "", "new_password", "blank"),
        ],
    )
    def test_what_is_not_valid_changes_nothing(
        self, api: Any, user: User, pair: TokenPair, old: str, new: str, field: str, code: str
    ) -> None:
        response = api.as_user(user.pk).post(CHANGE, {"old_password": old, "new_password": new})

        assert response.status_code == 422
        assert (field, code) in [(error["field"], error["code"]) for error in response.json()["errors"]]
        assert Session.objects.get().revoked_at is None
        services.sign_in(email=user.email, password=PASSWORD)

    def test_it_needs_a_token_and_a_user(self, api: Any) -> None:
        fields = {"old_password": PASSWORD, "new_password": NEW_PASSWORD}
        assert api.anonymous().post(CHANGE, fields).status_code == 401
        assert api.as_user().post(CHANGE, fields).status_code == 404

    def test_it_does_not_make_a_new_version(self, api: Any, user: User) -> None:
        api.as_user(user.pk).post(CHANGE, {"old_password": PASSWORD, "new_password": NEW_PASSWORD})

        user.refresh_from_db()
        assert user.version == 1


def test_links_expire(user: User, settings: Any) -> None:
    verify = services.create_one_time_link(user_id=user.pk, purpose=LinkPurpose.VERIFY_EMAIL)
    reset = services.create_one_time_link(user_id=user.pk, purpose=LinkPurpose.RESET_PASSWORD)

    assert abs(verify.expires_at - timezone.now() - timedelta(days=3)) < timedelta(minutes=1)
    assert abs(reset.expires_at - timezone.now() - timedelta(hours=1)) < timedelta(minutes=1)
