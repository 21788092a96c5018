"""`manage.py seed_demo_users`: the logins of the demo. A second run changes nothing."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import services


class Command(BaseCommand):
    help = "Makes buyer@, seller@ and admin@example.com with the password DEMO_PASSWORD; a second run changes nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = services.seed_demo_users()
        except services.CannotSeed as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"demo users: {made} changed, {len(services.DEMO_USERS) - made} as they were")
