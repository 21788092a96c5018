"""Rows for tests."""

from __future__ import annotations

from django.contrib.auth.hashers import make_password
from factory.declarations import LazyFunction, Sequence, SubFactory
from factory.django import DjangoModelFactory

from accounts.models import Address, User

PASSWORD = "correct horse battery"


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User

    email = Sequence(lambda n: f"person{n}@shop.test")
    name = "Pat Person"
    password = LazyFunction(lambda: make_password(PASSWORD))


class AddressFactory(DjangoModelFactory[Address]):
    class Meta:
        model = Address

    user = SubFactory(UserFactory)
    full_name = "Pat Person"
    line1 = "1 Main Street"
    city = "Springfield"
    postal_code = "12345"
    country = "US"


def address_fields(**changes: object) -> dict[str, object]:
    """The body of a valid address."""
    return {
        "full_name": "Pat Person",
        "line1": "1 Main Street",
        "city": "Springfield",
        "postal_code": "12345",
        "country": "US",
        **changes,
    }
