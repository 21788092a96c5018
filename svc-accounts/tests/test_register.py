"""POST /accounts/register."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher

from accounts import services
from accounts.models import User
from shared_lib.contracts.events import UserAddressInUse, UserRegistered
from shared_lib.testing.races import at_once
from tests.factories import PASSWORD, UserFactory

URL = "/api/v1/accounts/register"


def body(**changes: Any) -> dict[str, Any]:
    return {"email": "new@shop.test", "password": PASSWORD, "name": "New Person", **changes}


@pytest.mark.django_db
def test_a_new_address_becomes_an_account_that_can_sign_in_at_once(
    api: Any, sign_in: Any, published: Any
) -> None:
    response = api.anonymous().post(URL, body())

    assert response.status_code == 201
    assert response.json() == {"email": "new@shop.test", "status": "pending_verification"}
    user = User.objects.get()
    assert (user.name, user.roles, user.email_verified, user.is_active) == (
        "New Person",
        ["customer"],
        False,
        True,
    )
    assert published(UserRegistered) == [UserRegistered(user_id=user.pk, version=1, language="en")]
    assert sign_in("new@shop.test").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("spelling", ["used@shop.test", "Used@Shop.TEST", " used@shop.test "])
def test_an_address_in_use_gets_the_same_answer_and_changes_nothing(
    api: Any, published: Any, spelling: str
) -> None:
    owner = UserFactory.create(email="used@shop.test")
    before = User.objects.values().get()

    response = api.anonymous().post(URL, body(email=spelling, password="another password 1"))

    assert response.status_code == 201
    assert response.json() == {"email": "used@shop.test", "status": "pending_verification"}
    assert User.objects.values().get() == before
    assert published(UserRegistered) == []
    assert published(UserAddressInUse) == [UserAddressInUse(user_id=owner.pk)]


@pytest.mark.django_db
def test_both_answers_cost_one_hash_and_the_same_queries(api: Any, django_assert_num_queries: Any) -> None:
    with patch.object(
        MD5PasswordHasher, "encode", autospec=True, side_effect=MD5PasswordHasher.encode
    ) as encode:
        with django_assert_num_queries(5):
            api.anonymous().post(URL, body())
        assert encode.call_count == 1
        with django_assert_num_queries(5):
            api.anonymous().post(URL, body())
        assert encode.call_count == 2


@pytest.mark.django_db
def test_an_international_domain_is_kept_in_ascii(api: Any, sign_in: Any) -> None:
    response = api.anonymous().post(URL, body(email="new@Bücher.test"))

    assert response.json()["email"] == "new@xn--bcher-kva.test"
    assert sign_in("NEW@bücher.test").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("header", "language"), [("de-AT,de;q=0.9", "de"), ("zh-CN", "zh"), ("fr", "en"), ("", "en")]
)
def test_the_language_is_the_one_the_client_asks_for(api: Any, header: str, language: str) -> None:
    api.anonymous().post(URL, body(), HTTP_ACCEPT_LANGUAGE=header)

    assert User.objects.get().language == language


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"email": "not an address"}, "email", "invalid"),
        ({"email": "a@" + "b" * 70 + ".test"}, "email", "invalid"),
        ({"email": "a" * 250 + "@shop.test"}, "email", "max_length"),
        ({"email": None}, "email", "null"),
        ({"email": 5}, "email", "invalid"),
        ({"email": ["a@shop.test"]}, "email", "invalid"),
        ({"email": "ünï@shop.test"}, "email", "invalid"),
        ({"name": "  "}, "name", "blank"),
        ({"name": "a\0b"}, "name", "null_characters_not_allowed"),
        ({"name": "n" * 201}, "name", "max_length"),
        ({"password": "short1!"}, "password", "password_too_short"),
        ({"password": "password123"}, "password", "password_too_common"),
        ({"password": "839201746512"}, "password", "password_entirely_numeric"),
        ({"password": "new@shop.test"}, "password", "password_too_similar"),
        ({"password": "p" * 257}, "password", "max_length"),
    ],
)
def test_what_is_not_valid_is_named(api: Any, changes: dict[str, Any], field: str, code: str) -> None:
    response = api.anonymous().post(URL, body(**changes))

    assert response.status_code == 422
    assert response["Content-Type"] == "application/problem+json"
    errors = response.json()["errors"]
    assert [error["field"] for error in errors if error["code"] == code] == [field]
    assert not User.objects.exists()


@pytest.mark.django_db
def test_every_missing_field_is_named(api: Any) -> None:
    response = api.anonymous().post(URL, {})

    assert [(error["field"], error["code"]) for error in response.json()["errors"]] == [
        ("email", "required"),
        ("password", "required"),
        ("name", "required"),
    ]


@pytest.mark.django_db(transaction=True)
def test_one_address_registered_several_times_at_once_is_one_account(published: Any) -> None:
    def register() -> None:
        services.register(email="new@shop.test", password=PASSWORD, name="New", language="en")

    results = at_once(*[register] * 6)

    assert results == [None] * 6
    user = User.objects.get()
    assert [event.user_id for event in published(UserRegistered)] == [user.pk]
    assert published(UserAddressInUse) == [UserAddressInUse(user_id=user.pk)] * 5
