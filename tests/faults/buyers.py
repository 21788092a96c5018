"""Buyers: the steps of a purchase, and what a buyer was told of it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from faults.client import Answer, Client, HungUp, Json, new_key
from faults.crowd import Person
from faults.journal import Journal
from faults.plan import Purchase

PASSWORD = "correct horse battery"
ADDRESS = {
    "full_name": "Grace Hopper",
    "line1": "1 Harbour Street",
    "city": "London",
    "postal_code": "E1 6AN",
    "country": "GB",
}
#: Of the seed: 10 % off, once for each user.
COUPON = "WELCOME10"
POLL_SECONDS = 0.5


@dataclass
class Sent:
    """An order that was sent: under which key, with which body, and what came of it as far as the buyer knows.

    `keeps_money`: it was paid with a card to which nothing can be paid back. `gets_money_back`: a part of it, and the order
    stays.
    """

    key: str
    body: Json
    order: Json | None = None
    refused: Answer | None = None
    wanted_gone: bool = False
    keeps_money: bool = False
    gets_money_back: bool = False
    paid: bool = False


@dataclass
class Story:
    """What a buyer lived through. `trouble` is a sentence for the report if the story ended early."""

    purchase: Purchase
    email: str = ""
    access: str = ""
    sent: list[Sent] = field(default_factory=list)
    trouble: str = ""
    ended: bool = False

    @property
    def orders(self) -> list[Json]:
        return [sent.order for sent in self.sent if sent.order is not None]


class Unexpected(Exception):
    """An answer that no fault explains."""


class Shopper:
    """One person and the steps of a purchase; `faults.intentions` says what they are for.

    `window` is how many seconds an order waits for its money, `staff` the access token of one who may ship, `person` whom the
    buyer is if the plan is not to register.
    """

    def __init__(
        self,
        purchase: Purchase,
        journal: Journal,
        *,
        base_url: str,
        variants: list[Json],
        window: float,
        return_url: str,
        staff: str,
        person: Person,
        patience: float,
    ) -> None:
        self.story = Story(purchase)
        self._purchase = purchase
        self._journal = journal
        self._variants = variants
        self._window = window
        self._return_url = return_url
        self._staff = staff
        self._person = person
        self._base_url = base_url
        address = f"198.18.{purchase.number // 250}.{purchase.number % 250 + 1}"
        self._client = Client(base_url, address, journal, patience=patience)

    def _sign_in(self) -> None:
        if not self._purchase.registers:
            self.story.email = self._person.email
            self._client.access = self.story.access = self._person.access
            return
        self.story.email = f"fault-{self._purchase.number}-{uuid4().hex[:10]}@example.com"
        who = {"email": self.story.email, "password": PASSWORD}
        self._expect(
            self._client.call("register", "POST", "/accounts/register", {**who, "name": "Grace"}), 201
        )
        pair = self._expect(self._client.call("sign in", "POST", "/accounts/token", who), 200)
        self._client.access = self.story.access = pair["access"]

    def _fill_cart(self) -> None:
        for place in self._purchase.products:
            variant = self._variants[place % len(self._variants)]
            self._client.call("look", "GET", f"/catalog/products/{variant['product']}")
            line = {"variant_id": variant["id"], "quantity": self._purchase.quantity}
            answer = self._client.call("cart", "POST", "/cart/lines", line, key=new_key())
            if answer.code != "insufficient_stock":
                self._expect(answer, 201)
        if self._purchase.coupon:
            answer = self._client.call("coupon", "POST", "/cart/coupons", {"code": COUPON}, key=new_key())
            if answer.code != "coupon_not_applicable":
                self._expect(answer, 200)

    def _order(self, *, manner: str = "", **extra: Any) -> Json | None:
        """Sends an order and returns it; None when it was refused for want of stock."""
        body = {"shipping_method": "standard", **extra}
        if "address_id" not in body:
            body["shipping_address"] = ADDRESS
        sent = Sent(new_key(), body)
        self.story.sent.append(sent)
        answer = self._send(sent, manner or self._purchase.manner)
        if answer.status == 201:
            sent.order = answer.body
            self._journal.count("orders")
            return answer.body
        sent.refused = answer
        if answer.code in ("out_of_stock", "price_changed", "empty_cart"):
            self._journal.count(f"refused: {answer.code}")
            return None
        raise Unexpected(f"POST /orders answered {answer}: {answer.body}")

    def _send(self, sent: Sent, manner: str) -> Answer:
        def send(**how: Any) -> Answer:
            return self._client.call("order", "POST", "/orders", sent.body, key=sent.key, **how)

        if manner == "twice_at_once":
            with ThreadPoolExecutor(2) as pool:
                first, second = (future.result() for future in [pool.submit(send), pool.submit(send)])
            if first.status == second.status == 201 and first.body != second.body:
                raise Unexpected(f"one key made two orders: {first.body['id']}, {second.body['id']}")
            self._journal.count("keys sent twice at once")
            return first if first.status == 201 else second
        if manner == "hangs_up":
            try:
                return send(hang_up_after=self._purchase.hang_up_after)
            except HungUp:
                self._journal.count("answers not waited for")
        return send()

    def _confirm(self, order: Json, token: str, *, return_url: bool = False) -> Answer:
        """Pays; when an earlier answer was lost, what became of the payment is asked."""
        body = {"payment_method": token, **({"return_url": self._return_url} if return_url else {})}
        path = f"/payments/{order['payment']['id']}"
        answer = self._client.call("confirm", "POST", f"{path}/confirm", body)
        if answer.code == "payment_not_confirmable":
            return self._client.call("payment", "GET", path)
        return answer

    def _pay_now(self, order: Json, token: str = "pm_card_visa") -> None:
        """Pays, and pays again when the first try came to nothing, as long as the order can be paid."""
        deadline = time.monotonic() + self._window
        answer = self._confirm(order, token)
        while True:
            status = answer.body.get("status")
            if answer.status != 200:
                raise Unexpected(f"paying with a good card answered {answer}: {answer.body}")
            if status in ("succeeded", "canceled"):
                self._sent(order).paid = status == "succeeded"
                self._journal.count(f"payments {status}")
                return
            if time.monotonic() > deadline:
                self._journal.count(f"payments left {status}")
                return
            time.sleep(POLL_SECONDS)
            if status == "processing":
                answer = self._client.call("payment", "GET", f"/payments/{order['payment']['id']}")
            else:
                answer = self._confirm(order, token)

    def _cancel(self, order: Json) -> None:
        self._sent(order).wanted_gone = True
        answer = self._client.call("cancel", "POST", f"/orders/{order['id']}/cancel", {})
        if answer.status == 200 or answer.code == "order_not_cancellable":
            self._journal.count(f"cancel: {answer.code or answer.body['status']}")
            return
        raise Unexpected(f"cancelling answered {answer}: {answer.body}")

    def _redirect(self, order: Json) -> str | None:
        """Where the 3-D Secure page is; None when the payment did not come to that."""
        answer = self._confirm(order, "pm_card_authenticationRequired", return_url=True)
        deadline = time.monotonic() + 10
        while (
            answer.status == 200 and answer.body.get("status") == "processing" and time.monotonic() < deadline
        ):
            time.sleep(POLL_SECONDS)
            answer = self._client.call("payment", "GET", f"/payments/{order['payment']['id']}")
        action = answer.body.get("action")
        return urlsplit(action["url"]).path if action else None

    def _authenticate_at(self, page: str, outcome: str) -> None:
        answer = self._client.call("3-D Secure", "POST", page, {"outcome": outcome})
        if answer.status not in (303, 200):
            raise Unexpected(f"the 3-D Secure page answered {answer.status}")

    def _wait(self, order: Json, *statuses: str, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while True:
            shown = self._expect(self._client.call("order status", "GET", f"/orders/{order['id']}"), 200)
            if shown["status"] in statuses or time.monotonic() > deadline:
                return str(shown["status"])
            time.sleep(POLL_SECONDS)

    def _sent(self, order: Json) -> Sent:
        return next(sent for sent in self.story.sent if sent.order and sent.order["id"] == order["id"])

    def _expect(self, answer: Answer, status: int) -> Json:
        if answer.status != status:
            raise Unexpected(f"{status} was expected, {answer} came: {answer.body}")
        return answer.body
