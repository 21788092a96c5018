"""The address book."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts import services
from accounts.models import Address, User
from shared_lib.ids import uuid7
from shared_lib.testing.races import at_once
from tests.factories import AddressFactory, UserFactory, address_fields

pytestmark = pytest.mark.django_db

URL = "/api/v1/accounts/me/addresses"


@pytest.fixture
def me(api: Any, user: User) -> Any:
    return api.as_user(user.pk)


def defaults_of(user: User) -> list[Any]:
    return list(Address.objects.filter(user=user, is_default=True).values_list("pk", flat=True))


def test_the_first_address_is_the_default(me: Any) -> None:
    response = me.post(URL, address_fields(line2="", phone="+1 (212) 555-0100", region=None))

    assert response.status_code == 201
    entry = response.json()
    assert response["ETag"] == f'"{entry["id"]}-1"'
    assert entry.pop("created_at").endswith("Z")
    assert entry == {
        **address_fields(phone="+1 (212) 555-0100"),
        "id": entry["id"],
        "line2": None,
        "region": None,
        "is_default": True,
    }


def test_later_ones_are_not_unless_they_ask(me: Any, user: User) -> None:
    first = me.post(URL, address_fields()).json()
    second = me.post(URL, address_fields()).json()
    assert (first["is_default"], second["is_default"]) == (True, False)

    third = me.post(URL, address_fields(is_default=True)).json()

    assert [str(pk) for pk in defaults_of(user)] == [third["id"]]
    # The one that lost its place is another state than before.
    assert me.get(f"{URL}/{first['id']}")["ETag"] == f'"{first["id"]}-2"'


def test_the_list_is_the_own_one_newest_first(me: Any, user: User, django_assert_num_queries: Any) -> None:
    AddressFactory.create()
    mine = [str(AddressFactory.create(user=user).pk) for _ in range(3)]

    with django_assert_num_queries(1):
        page = me.get(URL).json()

    assert [entry["id"] for entry in page["results"]] == mine[::-1]
    assert (page["next"], page["previous"]) == (None, None)


def test_the_list_is_paged(me: Any, user: User) -> None:
    for _ in range(3):
        AddressFactory.create(user=user)

    first = me.get(URL + "?page_size=2").json()
    second = me.get(first["next"]).json()

    assert (len(first["results"]), len(second["results"]), second["next"]) == (2, 1, None)


def test_an_address_can_be_changed(me: Any, user: User) -> None:
    address = AddressFactory.create(user=user, is_default=True, line2="Floor 2")

    response = me.patch(f"{URL}/{address.pk}", {"city": "Shelbyville", "line2": None})

    assert response.status_code == 200
    assert response["ETag"] == f'"{address.pk}-2"'
    assert (response.json()["city"], response.json()["line2"]) == ("Shelbyville", None)
    assert response.json() == me.get(f"{URL}/{address.pk}").json()


def test_the_default_moves_by_making_another_one_the_default(me: Any, user: User) -> None:
    old = AddressFactory.create(user=user, is_default=True)
    new = AddressFactory.create(user=user)

    assert me.patch(f"{URL}/{new.pk}", {"is_default": True}).status_code == 200
    assert defaults_of(user) == [new.pk]
    refused = me.patch(f"{URL}/{new.pk}", {"is_default": False})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "default_required")
    assert me.patch(f"{URL}/{old.pk}", {"is_default": False}).status_code == 200
    assert defaults_of(user) == [new.pk]


def test_the_newest_of_the_others_takes_the_place_of_a_default_that_goes(me: Any, user: User) -> None:
    default = AddressFactory.create(user=user, is_default=True)
    AddressFactory.create(user=user)
    newest = AddressFactory.create(user=user)

    assert me.delete(f"{URL}/{default.pk}").status_code == 204
    assert defaults_of(user) == [newest.pk]
    assert me.get(f"{URL}/{default.pk}").status_code == 404
    assert me.delete(f"{URL}/{default.pk}").status_code == 404


def test_the_last_one_can_go(me: Any, user: User) -> None:
    address = AddressFactory.create(user=user, is_default=True)

    assert me.delete(f"{URL}/{address.pk}").status_code == 204
    assert not Address.objects.exists()


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_another_persons_address_is_not_found(me: Any, method: str) -> None:
    theirs = AddressFactory.create(is_default=True)

    for address_id in (theirs.pk, uuid7()):
        response = getattr(me, method)(f"{URL}/{address_id}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert Address.objects.get() == theirs


@pytest.mark.parametrize("method", ["patch", "delete"])
def test_a_change_based_on_an_older_state_is_refused(me: Any, user: User, method: str) -> None:
    address = AddressFactory.create(user=user, is_default=True, version=2)

    response = getattr(me, method)(f"{URL}/{address.pk}", HTTP_IF_MATCH=f'"{address.pk}-1"')

    assert response.status_code == 412
    assert getattr(me, method)(f"{URL}/{address.pk}", HTTP_IF_MATCH=f'"{address.pk}-2"').status_code in (
        200,
        204,
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"country": "us"}, "country"),
        ({"country": "USA"}, "country"),
        ({"full_name": ""}, "full_name"),
        ({"line1": "x" * 201}, "line1"),
        ({"postal_code": None}, "postal_code"),
        ({"phone": "call me"}, "phone"),
        ({"is_default": "perhaps"}, "is_default"),
        ({"is_default": None}, "is_default"),
    ],
)
def test_what_is_not_valid_is_named(me: Any, changes: Any, field: str) -> None:
    response = me.post(URL, address_fields(**changes))

    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert not Address.objects.exists()


def test_the_book_has_an_end(me: Any, user: User) -> None:
    Address.objects.bulk_create(AddressFactory.build_batch(50, user=user))

    response = me.post(URL, address_fields())

    assert (response.status_code, response.json()["code"]) == (409, "address_book_full")


def test_the_same_key_adds_one_address(me: Any) -> None:
    first = me.post(URL, address_fields(), HTTP_IDEMPOTENCY_KEY="k1")
    again = me.post(URL, address_fields(), HTTP_IDEMPOTENCY_KEY="k1")

    assert (again.status_code, again["Idempotent-Replayed"]) == (201, "true")
    assert first.json() == again.json()
    assert Address.objects.count() == 1
    assert me.post(URL, address_fields(city="Else"), HTTP_IDEMPOTENCY_KEY="k1").status_code == 422


def test_a_user_who_is_gone_adds_nothing(api: Any) -> None:
    assert api.as_user().post(URL, address_fields()).status_code == 404


def test_the_database_refuses_a_second_default(user: User) -> None:
    AddressFactory.create(user=user, is_default=True)
    with pytest.raises(IntegrityError), transaction.atomic():
        AddressFactory.create(user=user, is_default=True)
    AddressFactory.create(user=UserFactory.create(), is_default=True)


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_many_first_addresses_at_once_make_one_default(self, user: User) -> None:
        results = at_once(
            *[lambda: services.add_address(user_id=user.pk, fields=address_fields(), is_default=True)] * 5
        )

        assert not [result for result in results if isinstance(result, Exception)]
        assert (Address.objects.count(), len(defaults_of(user))) == (5, 1)

    def test_moving_the_default_to_many_at_once_leaves_one(self, user: User) -> None:
        addresses = [AddressFactory.create(user=user, is_default=not number) for number in range(4)]

        def move(address: Address) -> Any:
            return lambda: services.change_address(
                user_id=user.pk,
                address_id=address.pk,
                changes={"is_default": True},
                precondition=lambda address: None,
            )

        results = at_once(*[move(address) for address in addresses])

        assert not [result for result in results if isinstance(result, Exception)]
        assert len(defaults_of(user)) == 1

    def test_removing_all_but_one_at_once_leaves_a_default(self, user: User) -> None:
        addresses = [AddressFactory.create(user=user, is_default=not number) for number in range(4)]

        def remove(address: Address) -> Any:
            return lambda: services.remove_address(
                user_id=user.pk, address_id=address.pk, precondition=lambda address: None
            )

        at_once(*[remove(address) for address in addresses[:3]])

        assert defaults_of(user) == [addresses[3].pk]
