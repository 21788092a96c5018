"""What buyers are up to: a method for each intention of the plan."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from faults.buyers import ADDRESS, Shopper, Story, Unexpected
from faults.client import Answer, Client, GaveUp, HungUp, Json, new_key


class Buyer(Shopper):
    """Buys as planned."""

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
        self._until_delivered()

    def _receive_and_send_back(self) -> None:
        """All of it comes back, and what it cost goes back to the buyer; the shipping does not."""
        self._send_back({"approve": {}, "receive": {}})

    def _receive_and_may_not_send_back(self) -> None:
        self._send_back({"reject": {"reason": "it has been worn"}})

    def _send_back(self, steps: dict[str, Json]) -> None:
        """The buyer asks, staff take these steps."""
        order = self._until_delivered()
        if order is None:
            return
        self._sent(order).gets_money_back = "receive" in steps
        lines = [{"variant_id": line["variant_id"], "quantity": line["quantity"]} for line in order["lines"]]
        body = {"lines": lines, "reason": "too small"}
        asked = self._client.call("return", "POST", f"/orders/{order['id']}/returns", body, key=new_key())
        number = self._expect(asked, 201)["id"]
        for step, body in steps.items():
            answer = self._as_staff(step, f"/orders/returns/{number}/{step}", body)
            # After a lost answer the step is done already.
            if answer.status != 200 and not answer.code.startswith("return_not_"):
                raise Unexpected(f"{step} answered {answer}: {answer.body}")

    def _get_some_money_back(self) -> None:
        """Staff send a part back; the order stays."""
        if order := self._order():
            self._pay_now(order)
            if self._wait(order, "confirmed", "cancelled", seconds=20) == "confirmed":
                self._sent(order).gets_money_back = True
                body = {"amount": {"amount": 123, "currency": "USD"}, "reason": "late"}
                answer = self._as_staff("refund", f"/orders/{order['id']}/refund", body, key=new_key())
                if answer.status not in (200, 201, 202):
                    raise Unexpected(f"the refund answered {answer}: {answer.body}")

    def _until_delivered(self) -> Json | None:
        """Pays, and staff ship and deliver. None when it did not come to that."""
        order = self._order()
        if order is None:
            return None
        self._pay_now(order)
        if self._wait(order, "confirmed", "cancelled", seconds=20) != "confirmed":
            return None
        parcel = {"carrier": "Royal Mail", "tracking_number": f"RM{self._purchase.number}"}
        for step, body in (("ship", parcel), ("deliver", {})):
            answer = self._as_staff(step, f"/orders/{order['id']}/{step}", body)
            # After a lost answer the step is done already.
            if answer.status != 200 and answer.code not in ("order_not_shippable", "order_not_deliverable"):
                raise Unexpected(f"{step} answered {answer}: {answer.body}")
        return order

    def _as_staff(self, what: str, path: str, body: Json, *, key: str | None = None) -> Answer:
        address = f"198.20.0.{self._purchase.number % 250 + 1}"
        staff = Client(
            self._base_url, address, self._journal, patience=self._client.patience, access=self._staff
        )
        try:
            return staff.call(what, "POST", path, body, key=key)
        finally:
            staff.close()
