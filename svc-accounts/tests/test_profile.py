"""GET and PATCH /accounts/me."""

from __future__ import annotations

from typing import Any

import pytest

from accounts import services
from accounts.models import User
from shared_lib.contracts.events import UserUpdated
from shared_lib.testing.races import at_once

pytestmark = pytest.mark.django_db

URL = "/api/v1/accounts/me"


@pytest.fixture
def me(api: Any, user: User) -> Any:
    return api.as_user(user.pk)


def test_the_profile_is_what_the_contract_says(me: Any, user: User, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        response = me.get(URL)

    assert response.status_code == 200
    assert response["Cache-Control"] == "private, no-store"
    assert response["ETag"] == f'"{user.pk}-1"'
    profile = response.json()
    assert profile.pop("created_at").endswith("Z")
    assert profile == {
        "id": str(user.pk),
        "email": user.email,
        "email_verified": False,
        "name": "Pat Person",
        "language": "en",
        "roles": ["customer"],
    }


def test_without_a_token_it_is_a_401(api: Any) -> None:
    response = api.anonymous().get(URL)

    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")


def test_a_user_who_is_gone_has_no_profile(api: Any) -> None:
    assert api.as_user().get(URL).status_code == 404
    assert api.as_user().patch(URL, {"name": "x"}).status_code == 404


def test_a_deactivated_user_has_no_profile(me: Any, user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)

    assert me.get(URL).status_code == 404
    assert me.patch(URL, {"name": "x"}).status_code == 404


def test_name_and_language_can_be_changed(me: Any, user: User, published: Any) -> None:
    response = me.patch(URL, {"name": "New Name", "language": "zh"})

    assert response.status_code == 200
    assert response["ETag"] == f'"{user.pk}-2"'
    assert (response.json()["name"], response.json()["language"]) == ("New Name", "zh")
    assert response.json() == me.get(URL).json()
    assert published(UserUpdated) == [UserUpdated(user_id=user.pk, version=2, language="zh")]


def test_what_stays_as_it_was_makes_no_new_version(me: Any, user: User, published: Any) -> None:
    response = me.patch(URL, {"name": user.name})

    assert response["ETag"] == f'"{user.pk}-1"'
    assert published(UserUpdated) == []


def test_nobody_gives_himself_a_role_or_another_address(me: Any, user: User) -> None:
    response = me.patch(
        URL,
        {"roles": ["admin"], "email": "x@shop.test", "email_verified": True, "id": "1", "is_active": False},
    )

    assert response.status_code == 200
    user.refresh_from_db()
    assert (user.roles, user.email_verified, user.version, user.is_active) == (["customer"], False, 1, True)


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"name": ""}, "name", "blank"),
        ({"name": None}, "name", "null"),
        ({"language": "xx"}, "language", "invalid_choice"),
        ({"language": ["en"]}, "language", "invalid_choice"),
    ],
)
def test_what_is_not_valid_is_named(me: Any, changes: Any, field: str, code: str) -> None:
    response = me.patch(URL, changes)

    assert response.status_code == 422
    assert [(error["field"], error["code"]) for error in response.json()["errors"]] == [(field, code)]


def test_an_update_based_on_an_older_state_is_refused(me: Any, user: User) -> None:
    etag = me.get(URL)["ETag"]

    assert me.patch(URL, {"name": "First"}, HTTP_IF_MATCH=etag).status_code == 200
    lost = me.patch(URL, {"name": "Second"}, HTTP_IF_MATCH=etag)

    assert (lost.status_code, lost.json()["code"]) == (412, "precondition_failed")
    assert me.get(URL).json()["name"] == "First"


@pytest.mark.django_db(transaction=True)
def test_versions_grow_by_one_with_each_of_many_changes_at_once(user: User, published: Any) -> None:
    def rename(number: int) -> Any:
        return lambda: services.update_profile(
            user_id=user.pk, changes={"name": f"Name {number}"}, precondition=lambda user: None
        )

    at_once(*[rename(number) for number in range(5)])

    assert sorted(event.version for event in published(UserUpdated)) == [2, 3, 4, 5, 6]
