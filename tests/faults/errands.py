"""What no buyer does, done so that the failpoints on that way are reached too."""

from __future__ import annotations

import threading
from contextlib import suppress
from uuid import UUID, uuid4

import httpx
import psycopg
from kombu.exceptions import OperationalError

from faults.actors import Actor, Trapper
from faults.client import Client, GaveUp, new_key
from faults.crowd import service_token, staff_token
from faults.journal import Journal
from faults.oddities import Oddities
from faults.site import Site
from shop.envfile import prefix
from shop.problems import Problem

#: Sweepers that run once a minute or an hour: asked for by the message that the beat would send.
RARE_TASKS = {
    "svc-accounts": ("accounts.tasks.forget_expired",),
    "svc-catalog": ("catalog.tasks.release_expired_reservations", "catalog.tasks.count_sales"),
    "svc-cart": ("cart.tasks.expire_guest_carts",),
    "svc-orders": ("orders.tasks.forget_checkouts",),
    "svc-payments": (
        "payments.tasks.delete_settled_webhook_events",
        "payments.tasks.compare_with_providers",
    ),
}
COMMON_TASKS = (
    "shared_lib.jobs.periodic.delete_published_events",
    "shared_lib.jobs.periodic.delete_settled_events",
    "shared_lib.jobs.periodic.delete_expired_idempotency_keys",
)
PAUSE_SECONDS = 3.0


class Errands(Actor):
    """Goes round while failpoints are missing. `spare` and `odd` are variants that no buyer of the run wants.

    What needs a command, a process of its own that takes seconds to start, waits until the moment `commands_from`.
    """

    def __init__(
        self,
        site: Site,
        journal: Journal,
        stop: threading.Event,
        trapper: Trapper,
        *,
        spare: str,
        odd: str,
        commands_from: float,
    ) -> None:
        super().__init__("errands", site, journal, stop)
        self._trapper = trapper
        self._spare = spare
        self._commands_from = commands_from
        self._odd = Oddities(site, journal, variant=odd)
        self._left: list[UUID] = []

    def act(self) -> None:
        errands = {
            ".forget": self._ask_for_tasks,
            "forget.": self._ask_for_tasks,
            "popularity.": self._ask_for_tasks,
            "reconcile.": self._compare_anew,
            "expire.": self._leave_a_reservation,
            "adjust.": self._adjust_stock,
            "shipping.": self._add_methods,
            "undo.": self._odd.pay_for_a_draft,
            "mark_canceled": self._odd.leave_a_payment_that_was_never_made,
            "event.shortage": self._sell_what_is_gone,
            "reconcile.abandon": self._odd.confirm_what_the_provider_never_hears_of,
            "refund.fail": self._odd.want_more_back_than_was_paid,
            "inbox.copied_aside": self._odd.say_what_nobody_understands,
            "dead_letters": self._odd.say_what_nobody_understands,
        }
        while self._trapper.missing and not self.stopped.wait(PAUSE_SECONDS * self.site.pace.factor):
            names = [name for _, name in list(self._trapper.missing)]
            wanted = {errand for part, errand in errands.items() if any(part in name for name in names)}
            if self._leave_a_reservation in wanted:
                wanted.add(self._ask_for_tasks)
            if self.site.pace.moment < self._commands_from:
                wanted -= {self._add_methods, self._odd.say_what_nobody_understands}
            for errand in wanted:
                # What is down while everything is being broken is there in the next round.
                with suppress(OSError, httpx.HTTPError, GaveUp, Problem, OperationalError, psycopg.Error):
                    errand()

    def _ask_for_tasks(self) -> None:
        for service in self.site.shop.services:
            self.site.ask_for_task(service, *RARE_TASKS.get(service, ()), *COMMON_TASKS)

    def _compare_anew(self) -> None:
        """A comparison with the provider keeps the next one off for minutes, also when its process died."""
        self.site.rows(
            "svc-payments", "UPDATE payments_reconciliation SET created_at = created_at - interval '10 min'"
        )
        self.site.ask_for_task("svc-payments", *RARE_TASKS["svc-payments"])

    def _adjust_stock(self) -> None:
        client = Client(
            self.site.base_url, "198.20.1.1", self.journal, patience=10, access=staff_token(self.site)
        )
        try:
            for delta in (1, -1):
                body = {"delta": delta, "reason": "fault test"}
                client.call("adjust", "POST", f"/catalog/variants/{self._spare}/stock", body, key=new_key())
        finally:
            client.close()

    def _leave_a_reservation(self) -> None:
        """As svc-orders would for a checkout of which nothing is ever heard again; its time is up at once."""
        order_id = uuid4()
        self._left.append(order_id)
        port = self.site.shop.env[f"{prefix('svc-catalog')}_PORT"]
        answer = httpx.post(
            f"http://127.0.0.1:{port}/internal/v1/reservations",
            json={"order_id": str(order_id), "lines": [{"variant_id": self._spare, "quantity": 1}]},
            headers={"Authorization": f"Bearer {service_token(self.site, 'svc-orders', 'svc-catalog')}"},
            timeout=10,
        )
        answer.raise_for_status()
        self.site.rows(
            "svc-catalog",
            "UPDATE catalog_reservation SET expires_at = now() WHERE order_id = %s AND status = 'reserved'",
            (order_id,),
        )

    def _sell_what_is_gone(self) -> None:
        self._odd.confirm_what_is_not_there_any_more("catalog.tasks.release_expired_reservations")

    def tidy(self) -> None:
        """What was left behind on purpose is taken away, as svc-orders would in the end."""
        self._odd.tidy()
        port = self.site.shop.env[f"{prefix('svc-catalog')}_PORT"]
        for order_id in self._left:
            httpx.delete(
                f"http://127.0.0.1:{port}/internal/v1/reservations/{order_id}",
                headers={"Authorization": f"Bearer {service_token(self.site, 'svc-orders', 'svc-catalog')}"},
                timeout=10,
            ).raise_for_status()

    def _add_methods(self) -> None:
        """The command that adds shipping methods; a failpoint ends it like any other process."""
        self.site.shop.manage("svc-orders", ["seed_shipping_methods"])
