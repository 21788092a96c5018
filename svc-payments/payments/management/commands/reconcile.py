"""`manage.py reconcile --since 7d`: compares payments with what the providers know of them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from payments import services
from payments.models import Reconciliation
from payments.providers import ProviderError, offered_providers

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Command(BaseCommand):
    help = (
        "Compares everything made at the payment providers since a moment with what we know of it. Differences that the"
        " provider's word heals are healed. Exit code 1 if any other is left."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--since", default="2d", help="as 90m, 36h, 7d, or 2026-11-22T00:00:00Z (default: 2d)"
        )
        parser.add_argument("--provider", choices=offered_providers(), help="only this one (default: all)")

    def handle(self, *args: Any, **options: Any) -> None:
        since = _moment(options["since"])
        left = 0
        for name in [options["provider"]] if options["provider"] else offered_providers():
            try:
                run = services.compare_with_provider(provider_name=name, since=since)
            except ProviderError as error:
                raise CommandError(f"{name} does not answer: {error}. Run it again.") from error
            left += self._show(run) if run else 0
        if left:
            raise CommandError(f"{left} difference{'s' if left > 1 else ''} left, for people to look at.")

    def _show(self, run: Reconciliation) -> int:
        differences = list(run.differences.select_related("payment").order_by("created_at", "id"))
        left = sum(not difference.healed for difference in differences)
        self.stdout.write(
            f"{run.provider} since {run.since:%Y-%m-%d %H:%M:%S %Z}: {run.compared} compared,"
            f" {len(differences)} differences, {len(differences) - left} healed, {left} left"
        )
        for difference in differences:
            self.stdout.write(
                f"  {'healed' if difference.healed else 'LEFT':6}  payment {difference.payment_id or '-'}  {difference}"
            )
        return left


def _moment(text: str) -> datetime:
    if match := re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", text):
        return timezone.now() - timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise CommandError(f"{text!r} is no time: write 90m, 36h, 7d, or 2026-11-22T00:00:00Z.")
    return moment
