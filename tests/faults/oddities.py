"""Turns of events that no buyer meets in a hundred lives, arranged so that their failpoints are reached too.

Each function arranges one, for a new customer, and may fail while everything is being broken: it is called again.
"""

from __future__ import annotations

import time
from uuid import UUID

import amqp
import httpx

from faults.buyers import ADDRESS, COUPON
from faults.client import Client, Json, connections, new_key
from faults.crowd import address_of, people, staff_token
from faults.journal import Journal
from faults.site import Site
from shared_lib.failpoints import arm
from shop.problems import Problem
from shop.rabbitmq import EVENTS

ORDER = {"shipping_address": ADDRESS, "shipping_method": "standard"}
#: Whose queue gets what nobody can decode.
CONFUSED = "svc-cart"
_PATIENCE = 15.0


class Oddities:
    """`variant` is one that nobody else buys; it has enough units."""

    def __init__(self, site: Site, journal: Journal, *, variant: str) -> None:
        self._site = site
        self._journal = journal
        self._variant = variant
        self._number = 0

    def pay_for_a_draft(self) -> None:
        """The checkout dies after its payment was made; whoever guesses its id pays it. The money goes back by itself."""
        client, user_id = self._customer()
        client.call("coupon", "POST", "/cart/coupons", {"code": COUPON}, key=new_key())
        arm(self._site.failpoints, "svc-orders", "checkout.place.before")
        self._send_once(client, "/orders", ORDER)
        rows = self._site.rows(
            "svc-orders",
            "SELECT payment_id FROM orders_checkoutsaga WHERE user_id = %s AND step = 'reserving'",
            (user_id,),
        )
        for row in rows:
            client.call(
                "confirm",
                "POST",
                f"/payments/{row['payment_id']}/confirm",
                {"payment_method": "pm_card_visa"},
            )

    def leave_a_payment_that_was_never_made(self) -> None:
        """The new payment of an order dies before svc-payments hears of it; then the order is cancelled."""
        client, _ = self._customer()
        order = client.call("order", "POST", "/orders", ORDER, key=new_key())
        if order.status != 201:
            return
        # While the first one can be paid it is the order's payment; once it is canceled there is room for another.
        for _ in range(2):
            arm(self._site.failpoints, "svc-orders", "payment.create.before")
            self._send_once(client, f"/orders/{order.body['id']}/payments", {})
        client.call("cancel", "POST", f"/orders/{order.body['id']}/cancel", {})

    def confirm_what_the_provider_never_hears_of(self) -> None:
        """The confirmation dies before it has told the provider anything, and is due at once: its lease is longer than an order
        of this stack waits for its money.
        """
        client, _ = self._customer()
        order = client.call("order", "POST", "/orders", ORDER, key=new_key())
        if order.status != 201:
            return
        payment = order.body["payment"]["id"]
        died = arm(self._site.failpoints, "svc-payments", "payments.confirm.create_intent.before")
        self._send_once(client, f"/payments/{payment}/confirm", {"payment_method": "pm_card_visa"})
        if not died.exists():
            self._site.rows(
                "svc-payments",
                "UPDATE payments_paymentattempt SET due_at = now() WHERE payment_id = %s AND state = 'running'",
                (UUID(payment),),
            )

    def want_more_back_than_was_paid(self) -> None:
        """A refund that svc-payments refuses for good, which no way through the shop asks for."""
        client, _ = self._customer()
        order = client.call("order", "POST", "/orders", ORDER, key=new_key())
        if order.status != 201:
            return
        payment = order.body["payment"]["id"]
        client.call("confirm", "POST", f"/payments/{payment}/confirm", {"payment_method": "pm_card_visa"})
        self._site.rows(
            "svc-orders",
            "INSERT INTO orders_refund (id, created_at, updated_at, request_id, traceparent, order_id, payment_id, currency,"
            " amount, reason, status, error, due_at, attempts) SELECT gen_random_uuid(), now(), now(), '', '', id, payment_id,"
            " currency, 2 * total_amount, 'fault test', 'pending', '', now(), 0 FROM orders_order WHERE id = %s",
            (UUID(order.body["id"]),),
        )

    def confirm_what_is_not_there_any_more(self, sweep: str) -> None:
        """The reservation of an order expires, somebody else gets the units, then the order is paid."""
        client, _ = self._customer()
        order = client.call("order", "POST", "/orders", ORDER, key=new_key())
        if order.status != 201:
            return
        self._site.rows(
            "svc-catalog",
            "UPDATE catalog_reservation SET expires_at = now() WHERE order_id = %s AND status = 'reserved'",
            (UUID(order.body["id"]),),
        )
        self._site.ask_for_task("svc-catalog", sweep)
        time.sleep(2)
        staff = Client(
            self._site.base_url,
            "198.20.5.1",
            self._journal,
            patience=_PATIENCE,
            access=staff_token(self._site),
        )
        taken = self._set_stock(staff, 0)
        try:
            path = f"/payments/{order.body['payment']['id']}/confirm"
            client.call("confirm", "POST", path, {"payment_method": "pm_card_visa"})
            time.sleep(2)
        finally:
            self._set_stock(staff, taken)
            staff.close()

    def say_what_nobody_understands(self) -> None:
        """A message that is no event, moved aside by the consumer, sent again by a person, and dropped in the end."""
        env = self._site.shop.env
        with amqp.Connection(
            host=f"127.0.0.1:{env['RABBITMQ_PORT']}",
            userid="runner",
            password=env["RABBITMQ_PASSWORD"],
            virtual_host=EVENTS,
        ) as connection:
            connection.channel().basic_publish(amqp.Message(b"{no event"), "", f"{CONFUSED}.events")
        time.sleep(1)
        self.ask_about_dead_letters("replay")

    def ask_about_dead_letters(self, action: str) -> None:
        """The command, which a failpoint may end."""
        self._site.shop.manage(CONFUSED, [f"dead_letters {action} --undecodable"])

    def tidy(self) -> None:
        """Nothing undecodable is left; whether there was anything does not matter."""
        try:
            self.ask_about_dead_letters("drop")
        except Problem as problem:
            self._journal.note("no dead letters to drop", said=str(problem)[:100])

    def _customer(self) -> tuple[Client, UUID]:
        """Somebody new with one unit in the cart."""
        self._number += 1
        (person,) = people(self._site, 1)
        client = Client(
            self._site.base_url,
            address_of(0xFE0000 + self._number),
            self._journal,
            patience=_PATIENCE,
            access=person.access,
        )
        client.call(
            "cart", "POST", "/cart/lines", {"variant_id": self._variant, "quantity": 1}, key=new_key()
        )
        return client, person.user_id

    def _send_once(self, client: Client, path: str, body: Json) -> None:
        """Without a second try: this client does not come back."""
        headers = {"Authorization": f"Bearer {client.access}", "Idempotency-Key": new_key()}
        with connections(self._site.base_url) as http:
            try:
                http.post(f"/api/v1{path}", json=body, headers=headers)
            except httpx.TransportError:
                self._journal.count("answers not waited for")

    def _set_stock(self, staff: Client, units: int) -> int:
        """Has so many units available and returns how many there were."""
        (row,) = self._site.rows(
            "svc-catalog",
            "SELECT on_hand - reserved AS available FROM catalog_stock WHERE variant_id = %s",
            (UUID(self._variant),),
        )
        available = int(row["available"])
        if available != units:
            body = {"delta": units - available, "reason": "fault test"}
            staff.call("adjust", "POST", f"/catalog/variants/{self._variant}/stock", body, key=new_key())
        return available
