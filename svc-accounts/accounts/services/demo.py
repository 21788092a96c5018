"""The demo's users. Their ids follow from their addresses, so that other services can name them without asking."""

from __future__ import annotations

from typing import NamedTuple
from uuid import NAMESPACE_DNS, UUID, uuid5

from django.conf import settings
from django.contrib.auth.hashers import make_password, verify_password
from django.db import transaction

from accounts.models import Address, Role, User
from accounts.services.rows import lock_user


class CannotSeed(Exception):
    """DEMO_PASSWORD is not set, or somebody registered one of the addresses before."""


class DemoUser(NamedTuple):
    email: str
    name: str
    roles: tuple[Role, ...]

    @property
    def id(self) -> UUID:
        return uuid5(NAMESPACE_DNS, self.email)


DEMO_USERS = (
    DemoUser("buyer@example.com", "Bea Buyer", (Role.CUSTOMER,)),
    DemoUser("seller@example.com", "Sam Seller", (Role.CUSTOMER, Role.SELLER)),
    DemoUser("admin@example.com", "Ada Admin", (Role.CUSTOMER, Role.STAFF, Role.ADMIN)),
)
_BUYERS_ADDRESS = {
    "full_name": "Bea Buyer",
    "line1": "350 Fifth Avenue",
    "line2": "Floor 21",
    "city": "New York",
    "region": "NY",
    "postal_code": "10118",
    "country": "US",
    "phone": "+1 212 555 0100",
}


def seed_demo_users() -> int:
    """Makes the demo's users and the buyer's address, and gives DEMO_PASSWORD to those that have another.

    Publishes nothing: nobody is to be welcomed. Returns how many users it made or changed. Raises `CannotSeed`.
    """
    password = settings.DEMO_PASSWORD
    if not password:
        raise CannotSeed("DEMO_PASSWORD is not set: give the demo users a password.")
    changed = sum(_seed(demo, password) for demo in DEMO_USERS)
    buyer = DEMO_USERS[0]
    with transaction.atomic():
        lock_user(buyer.id)
        if not Address.objects.filter(user_id=buyer.id).exists():
            Address.objects.create(
                id=uuid5(buyer.id, "address"), user_id=buyer.id, is_default=True, **_BUYERS_ADDRESS
            )
    return changed


def _seed(demo: DemoUser, password: str) -> bool:
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).filter(email=demo.email).first()
        if user is None:
            User.objects.create(
                id=demo.id,
                email=demo.email,
                name=demo.name,
                roles=[role.value for role in demo.roles],
                email_verified=True,
                password=make_password(password),
            )
            return True
        if user.pk != demo.id:
            raise CannotSeed(
                f"{demo.email} belongs to another account already; the demo users need a fresh database."
            )
        correct, _ = verify_password(password, user.password)
        if not correct:
            user.password = make_password(password)
            user.save(update_fields=["password", "updated_at"])
        return not correct
