"""POST /accounts/token: the answer, the access token, the cookie."""

from __future__ import annotations

import time
from typing import Any
from unittest.mock import patch
from uuid import UUID

import jwt
import pytest
from django.contrib.auth.hashers import MD5PasswordHasher, make_password

from accounts import services
from accounts.api import cookies
from accounts.exceptions import InvalidCredentials
from accounts.models import Session, User
from accounts.services import rows
from shared_lib.auth.tokens import verify_access_token
from shared_lib.testing.races import at_once
from tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db


def test_the_right_password_gives_a_pair(user: User, sign_in: Any) -> None:
    response = sign_in(user.email)

    assert response.status_code == 200
    assert response["Cache-Control"] == "private, no-store"
    answer = response.json()
    assert set(answer) == {"access", "refresh", "token_type", "expires_in"}
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 600)
    assert not response.cookies


def test_the_access_token_is_what_the_contract_says(sign_in: Any, settings: Any, jwks: Any) -> None:
    user = UserFactory.create(roles=["seller", "customer"])
    before = int(time.time())

    access = sign_in(user.email).json()["access"]

    assert jwt.get_unverified_header(access) == {"alg": "ES256", "kid": jwks.jwk["kid"], "typ": "at+jwt"}
    claims = verify_access_token(access)
    assert set(claims) == {"iss", "aud", "sub", "sid", "jti", "iat", "exp", "roles"}
    assert (claims["iss"], claims["aud"]) == (settings.JWT_ISSUER, settings.JWT_AUDIENCE)
    assert claims["sub"] == str(user.pk)
    assert UUID(claims["sid"]) == Session.objects.get(user=user).pk
    assert claims["roles"] == ["customer", "seller"]
    assert before <= claims["iat"] <= time.time()
    assert claims["exp"] - claims["iat"] == 600


def test_every_access_token_has_its_own_jti(user: User, sign_in: Any) -> None:
    first, second = (verify_access_token(sign_in(user.email).json()["access"]) for _ in range(2))

    assert first["jti"] != second["jti"]
    assert first["sid"] != second["sid"]


def test_the_access_token_opens_the_profile(user: User, sign_in: Any, api: Any) -> None:
    client = api.anonymous()
    client.credentials(HTTP_AUTHORIZATION="Bearer " + sign_in(user.email).json()["access"])

    assert client.get("/api/v1/accounts/me").json()["email"] == user.email


@pytest.mark.parametrize("spelling", ["Person@Shop.test", "person@shop.TEST "])
def test_the_case_of_the_address_does_not_matter(sign_in: Any, spelling: str) -> None:
    UserFactory.create(email="person@shop.test")

    assert sign_in(spelling).status_code == 200


@pytest.mark.parametrize("case", ["wrong password", "unknown address", "deactivated", "no password"])
def test_all_refusals_look_alike_and_cost_one_hash(sign_in: Any, case: str) -> None:
    UserFactory.create(
        email="known@shop.test",
        is_active=case != "deactivated",
        **({"password": make_password(None)} if case == "no password" else {}),
    )
    email = "unknown@shop.test" if case == "unknown address" else "known@shop.test"

    with patch.object(
        MD5PasswordHasher, "encode", autospec=True, side_effect=MD5PasswordHasher.encode
    ) as encode:
        response = sign_in(email, "wrong" if case == "wrong password" else PASSWORD)

    assert encode.call_count == 1
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    document = response.json()
    assert document.pop("request_id")
    assert document == {
        "type": "urn:shop:problem:invalid_credentials",
        "title": "The e-mail address or the password is wrong",
        "status": 401,
        "detail": "The e-mail address or the password is wrong",
        "code": "invalid_credentials",
    }
    assert not Session.objects.exists()


def test_blanks_in_a_password_count(sign_in: Any) -> None:
    user = UserFactory.create(password=make_password(" padded "))

    assert sign_in(user.email, " padded ").status_code == 200
    assert sign_in(user.email, "padded").status_code == 401


def test_a_token_that_is_sent_along_is_not_looked_at(user: User, api: Any) -> None:
    client = api.anonymous()
    client.credentials(HTTP_AUTHORIZATION="Bearer forged")

    assert (
        client.post("/api/v1/accounts/token", {"email": user.email, "password": PASSWORD}).status_code == 200
    )


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"email": "a@shop.test"}', b'{"email": "a", "password": "b"}', b"[]"]
)
def test_a_body_that_does_not_validate_is_a_422(api: Any, content: bytes) -> None:
    response = api.anonymous().generic("POST", "/api/v1/accounts/token", content, "application/json")

    assert response.status_code == 422
    assert response.json()["errors"]


@pytest.mark.parametrize("content", [b"{", b"\xff", b'"text"'])
def test_a_body_that_does_not_parse_is_a_400(api: Any, content: bytes) -> None:
    assert (
        api.anonymous().generic("POST", "/api/v1/accounts/token", content, "application/json").status_code
        == 400
    )


def test_an_outdated_hash_is_renewed(user: User, sign_in: Any, settings: Any) -> None:
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.ScryptPasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]

    assert sign_in(user.email).status_code == 200
    user.refresh_from_db()
    assert user.password.startswith("scrypt$")
    assert user.version == 1
    assert sign_in(user.email).status_code == 200


def test_production_hashes_with_argon2() -> None:
    from django.contrib.auth.hashers import Argon2PasswordHasher

    hasher = Argon2PasswordHasher()
    encoded = hasher.encode("secret", hasher.salt())
    assert encoded.startswith("argon2$argon2id$")
    assert hasher.verify("secret", encoded)


@pytest.mark.django_db(transaction=True)
def test_no_session_is_opened_with_a_password_that_was_reset_meanwhile(user: User) -> None:
    def reset_after_the_check(*args: Any, **kwargs: Any) -> Any:
        User.objects.filter(pk=user.pk).update(password=make_password("the new password"))
        return lock(*args, **kwargs)

    lock = rows.lock_user
    with (
        patch("accounts.services.sessions.lock_user", reset_after_the_check),
        pytest.raises(InvalidCredentials),
    ):
        services.sign_in(email=user.email, password=PASSWORD)
    assert not Session.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_many_sign_ins_at_once_each_get_a_session(user: User) -> None:
    pairs = at_once(*[lambda: services.sign_in(email=user.email, password=PASSWORD)] * 5)

    assert len({pair.refresh for pair in pairs}) == 5
    assert Session.objects.filter(user=user).count() == 5


class TestCookie:
    def test_a_browser_gets_the_refresh_token_as_a_cookie_only(self, user: User, sign_in: Any) -> None:
        response = sign_in(user.email, query="?cookie=true")

        assert set(response.json()) == {"access", "token_type", "expires_in"}
        cookie = response.cookies[cookies.NAME]
        assert cookie.value.startswith("rt_")
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (
            True,
            "Strict",
            "/api/v1/accounts/token",
        )
        assert cookie["max-age"] == 30 * 86400
        assert not cookie["domain"]

    @pytest.mark.parametrize(
        ("base", "secure"), [("https://shop.example", True), ("http://localhost:8080", "")]
    )
    def test_it_is_secure_where_the_shop_is(
        self, user: User, sign_in: Any, settings: Any, base: str, secure: Any
    ) -> None:
        settings.PUBLIC_BASE_URL = base

        assert sign_in(user.email, query="?cookie=true").cookies[cookies.NAME]["secure"] == secure

    def test_false_means_no_cookie_and_nonsense_is_refused(self, user: User, sign_in: Any) -> None:
        assert "refresh" in sign_in(user.email, query="?cookie=false").json()
        response = sign_in(user.email, query="?cookie=perhaps")
        assert response.status_code == 422
        assert response.json()["errors"][0]["field"] == "cookie"
