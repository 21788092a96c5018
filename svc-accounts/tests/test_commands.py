"""Management commands, and what Django itself does with our users."""

from __future__ import annotations

from io import StringIO
from typing import Any
from uuid import NAMESPACE_DNS, UUID, uuid5

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from accounts.models import Address, User
from shared_lib.auth.tokens import verify_access_token
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def seed() -> str:
    out = StringIO()
    call_command("seed_demo_users", stdout=out)
    return out.getvalue()


@pytest.fixture(autouse=True)
def _demo_password(settings: Any) -> None:
    settings.DEMO_PASSWORD = "demo password"


class TestSeed:
    def test_the_demo_users_can_sign_in(self, sign_in: Any) -> None:
        assert "3 changed" in seed()

        for email, roles in {
            "buyer@example.com": ["customer"],
            "seller@example.com": ["customer", "seller"],
            "admin@example.com": ["admin", "customer", "staff"],
        }.items():
            claims = verify_access_token(sign_in(email, "demo password").json()["access"])
            assert UUID(claims["sub"]) == uuid5(NAMESPACE_DNS, email)
            assert claims["roles"] == roles
        assert set(User.objects.values_list("email_verified", flat=True)) == {True}

    def test_the_buyer_has_an_address_to_ship_to(self) -> None:
        seed()

        address = Address.objects.get()
        assert (address.user.email, address.country, address.is_default) == ("buyer@example.com", "US", True)

    def test_a_second_run_changes_nothing(self) -> None:
        seed()
        before = list(User.objects.values()), list(Address.objects.values())

        assert "0 changed" in seed()
        assert (list(User.objects.values()), list(Address.objects.values())) == before

    def test_another_demo_password_is_taken_over(self, settings: Any, sign_in: Any) -> None:
        seed()
        settings.DEMO_PASSWORD = "another password"

        assert "3 changed" in seed()
        assert sign_in("buyer@example.com", "another password").status_code == 200

    def test_nobody_is_welcomed(self, published: Any) -> None:
        from shared_lib.contracts.events import UserRegistered

        seed()
        assert published(UserRegistered) == []

    def test_without_a_password_it_says_so(self, settings: Any) -> None:
        settings.DEMO_PASSWORD = ""
        with pytest.raises(CommandError, match="DEMO_PASSWORD"):
            seed()

    def test_an_address_that_somebody_took_before_is_a_sentence(self) -> None:
        UserFactory.create(email="seller@example.com")
        with pytest.raises(CommandError, match=r"seller@example\.com"):
            seed()


class TestDjangosOwnDoors:
    def test_createsuperuser_makes_an_admin(self, monkeypatch: pytest.MonkeyPatch, sign_in: Any) -> None:
        monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "root password")
        call_command("createsuperuser", email="Root@Shop.test", name="Root", interactive=False, verbosity=0)

        user = User.objects.get(email="root@shop.test")
        assert (user.is_staff, user.is_superuser, user.email_verified) == (True, True, True)
        assert set(verify_access_token(sign_in(user.email, "root password").json()["access"])["roles"]) == {
            "admin",
            "customer",
            "staff",
        }

    def test_the_admin_pages_can_be_entered_by_staff(self) -> None:
        UserFactory.create(email="root@shop.test", roles=["admin"])
        user = authenticate(username="ROOT@shop.test", password="correct horse battery")

        assert isinstance(user, User)
        assert user.is_staff
        assert user.has_module_perms("accounts")
        assert user.has_perm("accounts.change_user")

    def test_staff_look_and_admins_change(self) -> None:
        staff, customer = UserFactory.build(roles=["customer", "staff"]), UserFactory.build()

        assert staff.is_staff
        assert not staff.is_superuser
        assert staff.has_perm("accounts.view_user")
        assert not staff.has_perm("accounts.change_user")
        assert not customer.is_staff
        assert not customer.has_perm("accounts.view_user")
        staff.is_active = False
        assert not staff.has_perm("accounts.view_user")
        assert not staff.has_module_perms("accounts")

    def test_the_database_keeps_addresses_unique_whatever_the_case(self) -> None:
        UserFactory.create(email="a@shop.test")
        for email in ("a@shop.test", "A@shop.test"):
            with pytest.raises(IntegrityError), transaction.atomic():
                UserFactory.create(email=email)

    def test_the_database_knows_the_roles(self) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            UserFactory.create(roles=["king"])
