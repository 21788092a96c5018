"""Buyers: what they do, what they were told, and what must be true of it in the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from faults.client import Answer, Client, GaveUp, HungUp, Json, new_key
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

    `keeps_money`: it was paid with a card to which nothing can be paid back.
    """

    key: str
    body: Json
    order: Json | None = None
    refused: Answer | None = None
    wanted_gone: bool = False
    keeps_money: bool = False
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


class Buyer:
    """One person who buys as planned. `window` is how many seconds an order waits for its money, `staff` the access token of one
    who may ship, `person` whom the buyer is if the plan is not to register."""

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

    def live(self) -> Story:
        """The whole purchase. Never raises; what went wrong is in the story and, if no fault explains it, a finding."""
        try:
            self._sign_in()
            self._fill_cart()
            intention: Callable[[], None] = getattr(self, f"_{self._purchase.intention}")
            intention()
            self.story.ended = True
        except GaveUp as error:
            self.story.trouble = f"gave up: {error}"
        except Unexpected as error:
            self.story.trouble = str(error)
            self._journal.find(f"buyer {self._purchase.number} ({self._purchase.intention}): {error}")
        except Exception as error:  # noqa: BLE001 - a bug of the tests must not look like a buyer who was served
            self.story.trouble = f"{type(error).__name__}: {error}"
            self._journal.find(f"buyer {self._purchase.number}: the test itself failed: {self.story.trouble}")
        finally:
            self._client.close()
        return self.story

    # Steps

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

    # Intentions

    def _pay(self) -> None:
        body = {"shipping_address": ADDRESS, "shipping_method": "standard"}
        quote = self._client.call("quote", "POST", "/orders/quote", body)
        extra = {}
        if quote.status == 200:
            extra = {"expected_total": quote.body["total"]}
        elif quote.code not in ("out_of_stock", "empty_cart"):
            raise Unexpected(f"the quote answered {quote}: {quote.body}")
        if order := self._order(**extra):
            self._pay_now(order)

    def _decline_then_pay(self) -> None:
        if order := self._order():
            answer = self._confirm(order, "pm_card_chargeDeclined")
            if answer.status != 402 and answer.body.get("status") == "succeeded":
                raise Unexpected("a declined card paid")
            self._pay_now(order)

    def _authenticate(self) -> None:
        if order := self._order():
            if page := self._redirect(order):
                self._authenticate_at(page, "authorise")
            else:
                self._pay_now(order)

    def _fail_authentication_then_pay(self) -> None:
        if order := self._order():
            if page := self._redirect(order):
                self._authenticate_at(page, "fail")
            self._pay_now(order)

    def _abandon_authentication(self) -> None:
        if order := self._order():
            self._redirect(order)

    def _pay_delayed(self) -> None:
        if order := self._order():
            self._pay_now(order, "pm_card_delayed")

    def _cancel_unpaid(self) -> None:
        if order := self._order():
            self._cancel(order)

    def _pay_then_cancel(self) -> None:
        if order := self._order():
            self._pay_now(order)
            self._wait(order, "confirmed", "cancelled", seconds=15)
            self._cancel(order)

    def _pay_with_a_card_whose_refunds_fail_then_cancel(self) -> None:
        if order := self._order():
            self._sent(order).keeps_money = True
            self._pay_now(order, "pm_card_refundFail")
            self._wait(order, "confirmed", "cancelled", seconds=15)
            self._cancel(order)

    def _pay_slow_to_refund_then_cancel(self) -> None:
        if order := self._order():
            self._pay_now(order, "pm_card_pendingRefund")
            self._wait(order, "confirmed", "cancelled", seconds=15)
            self._cancel(order)

    def _pay_and_dispute(self) -> None:
        if order := self._order():
            self._pay_now(order, "pm_card_createDispute")

    def _pay_and_cancel_at_once(self) -> None:
        if order := self._order():
            barrier = threading.Barrier(2)

            def together(act: Callable[[Json], None]) -> None:
                barrier.wait()
                act(order)

            with ThreadPoolExecutor(2) as pool:
                for future in [pool.submit(together, self._pay_now), pool.submit(together, self._cancel)]:
                    future.result()

    def _leave(self) -> None:
        self._order()

    def _pay_at_the_last_moment(self) -> None:
        if order := self._order():
            time.sleep(max(self._window - 1.0, 0))
            self._pay_now(order)

    def _replace(self) -> None:
        first = self._order()
        variant = self._variants[self._purchase.products[0] % len(self._variants)]
        line = {"variant_id": variant["id"], "quantity": 1}
        self._client.call("cart", "POST", "/cart/lines", line, key=new_key())
        if first:
            self._sent(first).wanted_gone = True
        if second := self._order(manner="patient"):
            self._pay_now(second)

    def _wrong_total_then_pay(self) -> None:
        self._order(expected_total={"amount": 1, "currency": "USD"})
        if order := self._order(manner="patient"):
            self._pay_now(order)

    def _pay_anew(self) -> None:
        """A declined card, then another payment for the same order."""
        if order := self._order():
            self._confirm(order, "pm_card_chargeDeclined")
            payment = self._new_payment(order)
            if payment is not None:
                self._pay_now({**order, "payment": payment})

    def _ask_for_a_payment_and_leave(self) -> None:
        if order := self._order():
            path = f"/orders/{order['id']}/payments"
            with suppress(HungUp, GaveUp):
                self._client.call("new payment", "POST", path, {}, key=new_key(), hang_up_after=0.05)

    def _new_payment(self, order: Json) -> Json | None:
        answer = self._client.call(
            "new payment", "POST", f"/orders/{order['id']}/payments", {}, key=new_key()
        )
        if answer.code == "order_not_payable":
            return None
        return self._expect(answer, 201)

    def _send_to_a_kept_address(self) -> None:
        kept = self._client.call("address", "POST", "/accounts/me/addresses", ADDRESS, key=new_key())
        if order := self._order(address_id=self._expect(kept, 201)["id"]):
            self._pay_now(order)

    def _receive(self) -> None:
        """Pays, and staff ship and deliver."""
        if not (order := self._order()):
            return
        self._pay_now(order)
        if self._wait(order, "confirmed", "cancelled", seconds=20) != "confirmed":
            return
        staff = Client(
            self._base_url,
            f"198.20.0.{self._purchase.number % 250 + 1}",
            self._journal,
            patience=self._client.patience,
            access=self._staff,
        )
        try:
            parcel = {"carrier": "Royal Mail", "tracking_number": f"RM{self._purchase.number}"}
            for step, body in (("ship", parcel), ("deliver", {})):
                answer = staff.call(step, "POST", f"/orders/{order['id']}/{step}", body)
                # After a lost answer the step is done already.
                if answer.status != 200 and answer.code not in (
                    "order_not_shippable",
                    "order_not_deliverable",
                ):
                    raise Unexpected(f"{step} answered {answer}: {answer.body}")
        finally:
            staff.close()
