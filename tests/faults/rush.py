"""The rush: 1,000 buyers want 100 units, 50 of them at once. 100 get one, 900 are told so, nothing is left."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from faults import checks
from faults.buyers import ADDRESS
from faults.client import Answer, Client, connections, new_key
from faults.crowd import Person, address_of, people, staff_token
from faults.journal import Journal
from faults.settle import settle
from faults.site import Site

BUYERS = 1000
UNITS = 100
AT_ONCE = 50
CONFIRM_SECONDS = 60.0


class Rush:
    def __init__(self, site: Site, journal: Journal) -> None:
        self.site = site
        self.journal = journal
        self._local = threading.local()
        self._opened: list[httpx.Client] = []
        self._ids: list[str] = []

    def go(self) -> dict[str, Any]:
        site, journal = self.site, self.journal
        settle(site, journal, seconds=60)
        crowd = people(site, BUYERS)
        variant = self._variant()
        journal.begin()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda at: self._fill_cart(at[0], at[1], variant), enumerate(crowd)))
            filled = journal.now
            print(
                f"{filled:7.1f} s  {BUYERS} carts are full, each with the product of which there are {UNITS}",
                flush=True,
            )
            answers = list(pool.map(lambda at: self._buy(*at), enumerate(crowd)))
            answered = journal.now
            print(f"{answered:7.1f} s  everybody has an answer", flush=True)
        confirmed = self._wait_for_confirmations()
        done = journal.now
        for http in self._opened:
            http.close()
        settle(site, journal, seconds=60)

        came_to = Counter(str(answer) for answer in answers)
        journal.counts.update({f"answer to the order: {what}": number for what, number in came_to.items()})
        short = [answer for answer in answers if answer.status == 409]
        for answer in short:
            if answer.code != "out_of_stock" or [
                line["requested"] for line in answer.body.get("lines", [])
            ] != [1]:
                journal.find(f"a buyer who came too late got no clean answer: {answer.body}")
                break
        self._expect("orders", came_to["201"], UNITS)
        self._expect("clean refusals", len(short), BUYERS - UNITS)
        self._expect("orders confirmed", confirmed, UNITS)
        left = checks.stock_of(site, [variant])[variant]
        if left != {"on_hand": 0, "reserved": 0}:
            journal.find(f"the stock should be 0 and is {left}")
        checks.audit(site, journal)
        return {
            "buyers": BUYERS,
            "units": UNITS,
            "at once": AT_ONCE,
            "orders confirmed": confirmed,
            "seconds from the first order to the last answer": round(answered - filled, 1),
            "seconds from the first order to the last confirmation": round(done - filled, 1),
            "carts a second": round(BUYERS / filled),
            "orders or refusals a second": round(BUYERS / (answered - filled)),
        }

    def _expect(self, what: str, number: int, wanted: int) -> None:
        if number != wanted:
            self.journal.find(f"{what}: {number}, there should be {wanted}")

    def _variant(self) -> str:
        """One with exactly so many units."""
        (row,) = self.site.rows(
            "svc-catalog",
            "SELECT s.variant_id::text AS id, s.on_hand FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id"
            " JOIN catalog_product p ON p.id = v.product_id WHERE p.status = 'published' AND v.deleted_at IS NULL"
            " AND s.reserved = 0 ORDER BY v.id OFFSET 20 LIMIT 1",
        )
        client = Client(
            self.site.base_url, "198.20.4.1", self.journal, patience=30, access=staff_token(self.site)
        )
        delta = UNITS - row["on_hand"]
        if delta:
            body = {"delta": delta, "reason": "fault test"}
            answer = client.call(
                "adjust", "POST", f"/catalog/variants/{row['id']}/stock", body, key=new_key()
            )
            if answer.status != 200:
                raise RuntimeError(f"no stock: {answer.body}")
        client.close()
        return str(row["id"])

    def _client(self, number: int, person: Person) -> Client:
        if not hasattr(self._local, "http"):
            self._local.http = connections(self.site.base_url)
            self._opened.append(self._local.http)
        return Client(
            self.site.base_url,
            address_of(number),
            self.journal,
            patience=60,
            access=person.access,
            http=self._local.http,
        )

    def _fill_cart(self, number: int, person: Person, variant: str) -> None:
        line = {"variant_id": variant, "quantity": 1}
        answer = self._client(number, person).call("cart", "POST", "/cart/lines", line, key=new_key())
        if answer.status != 201:
            self.journal.find(f"a cart could not be filled: {answer}: {answer.body}")

    def _buy(self, number: int, person: Person) -> Answer:
        client = self._client(number, person)
        body = {"shipping_address": ADDRESS, "shipping_method": "standard"}
        placed = client.call("order", "POST", "/orders", body, key=new_key())
        if placed.status == 201:
            self._ids.append(placed.body["id"])
            paid = client.call(
                "confirm",
                "POST",
                f"/payments/{placed.body['payment']['id']}/confirm",
                {"payment_method": "pm_card_visa"},
            )
            if paid.status != 200 or paid.body["status"] not in ("succeeded", "processing"):
                self.journal.find(f"a good card did not pay: {paid}: {paid.body}")
        return placed

    def _wait_for_confirmations(self) -> int:
        """How many of the orders are confirmed in the database of orders, once all are or the time is up."""
        deadline = time.monotonic() + CONFIRM_SECONDS
        query = "SELECT count(*) FROM orders_order WHERE status = 'confirmed' AND id::text = ANY(%s)"
        while True:
            confirmed = self.site.number("svc-orders", query, (self._ids,))
            if confirmed == len(self._ids) or time.monotonic() > deadline:
                return confirmed
            time.sleep(0.1)


def rush(site: Site, journal: Journal) -> dict[str, Any]:
    """Returns the figures."""
    return Rush(site, journal).go()
