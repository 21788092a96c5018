"""What other services may ask."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from accounts.models import User
from shared_lib.contracts.internal import accounts as contract
from shared_lib.ids import uuid7
from tests.factories import AddressFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("caller", ["svc-orders", "svc-notifications"])
def test_a_user_as_the_contract_has_it(internal: Any, caller: str, django_assert_num_queries: Any) -> None:
    user = UserFactory.create(language="de", email_verified=True)

    with django_assert_num_queries(1):
        response = internal(caller).get(f"/internal/v1/users/{user.pk}")

    assert response.status_code == 200
    assert msgspec.json.decode(response.content, type=contract.User) == contract.User(
        id=user.pk, email=user.email, name=user.name, language="de", email_verified=True, is_active=True
    )


def test_a_deactivated_user_is_shown_as_such(internal: Any) -> None:
    user = UserFactory.create(is_active=False)

    assert internal("svc-orders").get(f"/internal/v1/users/{user.pk}").json()["is_active"] is False


def test_an_unknown_user_is_not_found(internal: Any) -> None:
    response = internal("svc-orders").get(f"/internal/v1/users/{uuid7()}")

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_an_address_as_the_contract_has_it(internal: Any, django_assert_num_queries: Any) -> None:
    address = AddressFactory.create(line2="Floor 2")

    with django_assert_num_queries(1):
        response = internal("svc-orders").get(f"/internal/v1/users/{address.user_id}/addresses/{address.pk}")

    payload = msgspec.json.decode(response.content, type=contract.UserAddress)
    assert payload.id == address.pk
    assert (payload.address.full_name, payload.address.line2, payload.address.region) == (
        "Pat Person",
        "Floor 2",
        None,
    )
    assert (payload.address.country, payload.address.phone) == ("US", None)


def test_an_address_is_found_under_its_own_user_only(internal: Any, user: User) -> None:
    address = AddressFactory.create()

    assert (
        internal("svc-orders").get(f"/internal/v1/users/{user.pk}/addresses/{address.pk}").status_code == 404
    )


@pytest.mark.parametrize(
    ("purpose", "page"), [("verify_email", "verify-email"), ("reset_password", "reset-password")]
)
def test_a_one_time_link_leads_to_the_storefront(
    internal: Any, user: User, settings: Any, purpose: str, page: str
) -> None:
    settings.STOREFRONT_URL = "https://store.example"

    response = internal("svc-notifications").post(
        "/internal/v1/one-time-links", {"user_id": str(user.pk), "purpose": purpose}
    )

    assert response.status_code == 201
    link = msgspec.json.decode(response.content, type=contract.OneTimeLink)
    assert link.url.startswith(f"https://store.example/{page}?token=")
    assert len(link.url.partition("token=")[2]) == 43
    assert link.expires_at.tzinfo is not None


def test_the_link_of_the_mail_verifies_the_address(internal: Any, api: Any, user: User) -> None:
    body = {"user_id": str(user.pk), "purpose": "verify_email"}
    url = internal("svc-notifications").post("/internal/v1/one-time-links", body).json()["url"]

    assert (
        api.anonymous()
        .post("/api/v1/accounts/email/verify", {"token": url.partition("token=")[2]})
        .status_code
        == 204
    )


def test_there_is_no_link_for_nobody(internal: Any) -> None:
    gone = UserFactory.create(is_active=False)
    for user_id in (gone.pk, uuid7()):
        body = {"user_id": str(user_id), "purpose": "verify_email"}
        assert internal("svc-notifications").post("/internal/v1/one-time-links", body).status_code == 404


@pytest.mark.parametrize(
    "body", [{}, {"user_id": "x", "purpose": "verify_email"}, {"user_id": str(uuid7()), "purpose": "buy"}]
)
def test_a_request_that_does_not_fit_is_a_422(internal: Any, body: Any) -> None:
    assert internal("svc-notifications").post("/internal/v1/one-time-links", body).status_code == 422


@pytest.mark.parametrize(
    ("caller", "method", "path"),
    [
        ("svc-cart", "get", "users/{user}"),
        ("svc-notifications", "get", "users/{user}/addresses/{user}"),
        ("svc-orders", "post", "one-time-links"),
        ("svc-accounts", "post", "one-time-links"),
    ],
)
def test_who_is_not_listed_may_not_call(
    internal: Any, user: User, caller: str, method: str, path: str
) -> None:
    response = getattr(internal(caller), method)("/internal/v1/" + path.format(user=user.pk))

    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")


def test_a_users_token_is_no_service_token(api: Any, user: User) -> None:
    response = api.as_user(user.pk, roles=("admin",)).get(f"/internal/v1/users/{user.pk}")

    assert response.status_code == 401
