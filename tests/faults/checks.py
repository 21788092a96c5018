"""What must be true when all is quiet again: what buyers were told, what the provider took, what lies in the warehouse."""

from __future__ import annotations

import json
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from faults.buyers import Sent, Story
from faults.client import Client, GaveUp, Json
from faults.journal import Journal
from faults.site import Site
from shop import services
from shop.audit import environment

#: Of an order whose buyer has paid for it and gets it.
BOUGHT = frozenset({"confirmed", "shipped", "delivered"})
FINAL = BOUGHT | {"cancelled"}


class Reckoning:
    """Compares the stories of buyers with what every side says now. Each difference is a finding."""

    def __init__(self, site: Site, journal: Journal, stories: Iterable[Story]) -> None:
        self.site = site
        self.journal = journal
        self.stories = [story for story in stories if story.access]
        #: Every order that any buyer sees now, by id.
        self.orders: dict[str, Json] = {}
        self._refunded: set[str] = set()

    def everything(self, stock_before: dict[str, int]) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self._ask, self.stories))
        self._compare_charges()
        self._compare_stock(stock_before)
        self._compare_mails()
        self._look_for_dead_letters()

    # Buyers

    def _ask(self, story: Story) -> None:
        """One buyer looks: at the list of orders, at each order, at the answers to each key."""
        who = f"buyer {story.purchase.number} ({story.purchase.intention}, {story.purchase.manner})"
        address = f"198.19.{story.purchase.number // 250}.{story.purchase.number % 250 + 1}"
        client = Client(self.site.base_url, address, self.journal, patience=30, access=story.access)
        try:
            listed = client.call("orders", "GET", "/orders?page_size=100")
            if listed.status != 200:
                self.journal.find(f"{who}: the list of orders answered {listed}")
                return
            seen = {order["id"]: order for order in listed.body["results"]}
            for sent in story.sent:
                self._ask_about(client, who, sent, seen)
            unknown = sum(sent.order is None and sent.refused is None for sent in story.sent)
            told = {order["id"] for order in story.orders}
            if len(told) != len(story.orders):
                self.journal.find(f"{who}: two keys got the same order")
            if len(seen.keys() - told) > unknown:
                self.journal.find(
                    f"{who}: has {len(seen)} orders, was told of {len(told)} and does not know of {unknown}"
                )
            for order in seen.values():
                if order["status"] not in FINAL:
                    self.journal.find(f"{who}: order {order['id']} is still {order['status']}")
            self.orders.update(seen)
            self._look_at_inbox(client, who, seen)
        except GaveUp as error:
            self.journal.find(f"{who}: no answer though all is well: {error}")
        finally:
            client.close()

    def _ask_about(self, client: Client, who: str, sent: Sent, seen: dict[str, Json]) -> None:
        if sent.order is None:
            return
        order = seen.get(sent.order["id"])
        if order is None:
            self.journal.find(f"{who}: got 201 for order {sent.order['id']}, which is not in the list")
            return
        if order["total"] != sent.order["total"] or order["number"] != sent.order["number"]:
            self.journal.find(f"{who}: order {order['id']} is not the one of the 201 any more")
        again = client.call("order again", "POST", "/orders", sent.body, key=sent.key)
        if (
            again.status != 201
            or again.body != sent.order
            or again.headers.get("Idempotent-Replayed") != "true"
        ):
            self.journal.find(
                f"{who}: the key of order {order['id']} now answers {again}: {str(again.body)[:150]}"
            )
        self.journal.count("keys sent again at the end")
        if sent.paid and not sent.wanted_gone and order["status"] not in BOUGHT:
            self.journal.find(
                f"{who}: order {order['id']} was paid and is {order['status']} ({order['payment_status']}), which nobody wished"
            )
        if sent.keeps_money:
            self.site.keeping.add(order["id"])
        elif order["status"] == "cancelled" and order["payment_status"] not in ("unpaid", "refunded"):
            self.journal.find(f"{who}: order {order['id']} is cancelled and {order['payment_status']}")
        if sent.gets_money_back:
            self._refunded.add(order["id"])
        elif order["status"] in BOUGHT and order["payment_status"] != "paid":
            self.journal.find(f"{who}: order {order['id']} is confirmed and {order['payment_status']}")

    def _look_at_inbox(self, client: Client, who: str, seen: dict[str, Json]) -> None:
        inbox = client.call("inbox", "GET", "/notifications?page_size=100")
        told = Counter(
            note["data"].get("order_id")
            for note in inbox.body.get("results", [])
            if note["kind"] == "order_confirmed"
        )
        for order in seen.values():
            confirmed = any(entry["status"] == "confirmed" for entry in self._history(client, order))
            if told[order["id"]] != int(confirmed):
                fact = "was confirmed" if confirmed else "was not confirmed"
                self.journal.find(
                    f"{who}: was told {told[order['id']]} times of order {order['id']}, which {fact}"
                )

    def _history(self, client: Client, order: Json) -> list[Json]:
        if "history" in order:
            return list(order["history"])
        return list(client.call("order status", "GET", f"/orders/{order['id']}").body["history"])

    # The provider

    def _compare_charges(self) -> None:
        """Money at the provider against orders, to the cent."""
        users = {UUID(order_id): order for order_id, order in self.orders.items()}
        charged: dict[str, list[Json]] = defaultdict(list)
        ours = {str(row["order_id"]) for row in self._payments()}
        for intent in self.site.charges():
            if intent["metadata"].get("order_id") in ours and intent["amount_received"]:
                charged[intent["metadata"]["order_id"]].append(intent)
        self.journal.count("charges compared", sum(map(len, charged.values())))
        back: Counter[str] = Counter()
        for row in self.site.rows(
            "svc-orders",
            "SELECT order_id::text, amount FROM orders_refund WHERE status = 'succeeded' AND order_id::text = ANY(%s)",
            (list(self._refunded),),
        ):
            back[row["order_id"]] += row["amount"]
        for order_id, intents in charged.items():
            order = users.get(UUID(order_id))
            net = sum(intent["amount_received"] - intent["amount_refunded"] for intent in intents)
            owed = order["total"]["amount"] if order and order["status"] in BOUGHT else 0
            if order_id in self._refunded:
                owed -= back[order_id]
            if order_id in self.site.keeping:
                owed = intents[0]["amount_received"]
            if net != owed:
                known = f"is {order['status']}" if order else "does not exist"
                self.journal.find(
                    f"order {order_id} {known}, {owed} is owed for it and the provider holds {net}: {[i['id'] for i in intents]}"
                )
            holding = [intent for intent in intents if intent["amount_refunded"] < intent["amount_received"]]
            if owed and len(holding) != 1:
                self.journal.find(f"order {order_id} was charged {len(intents)} times")
        for order_id, order in self.orders.items():
            if order["status"] in BOUGHT and order_id not in charged:
                self.journal.find(f"order {order_id} is confirmed and the provider has no money for it")

    def _payments(self) -> list[Json]:
        """The payments of this run's buyers, be there an order or not."""
        return self.site.rows(
            "svc-payments",
            "SELECT order_id FROM payments_payment WHERE user_id::text = ANY(%s)",
            ([subject_of(story.access) for story in self.stories],),
        )

    # The warehouse

    def _compare_stock(self, before: dict[str, int]) -> None:
        sold: Counter[str] = Counter()
        for order in self._full_orders():
            if order["status"] in BOUGHT:
                for line in order["lines"]:
                    sold[line["variant_id"]] += line["quantity"]
        for row in self.site.rows(
            "svc-orders",
            "SELECT line.variant_id::text, sum(part.quantity)::int AS quantity FROM orders_returnline part"
            " JOIN orders_return return ON return.id = part.part_of_id JOIN orders_orderline line ON line.id = part.line_id"
            " WHERE return.status = 'received' AND line.order_id::text = ANY(%s) GROUP BY 1",
            (list(self._refunded),),
        ):
            sold[row["variant_id"]] -= row["quantity"]
        for variant, now in stock_of(self.site, before).items():
            if now["on_hand"] != before[variant] - sold[variant]:
                self.journal.find(
                    f"variant {variant}: {before[variant]} on hand before, {sold[variant]} sold, {now['on_hand']} on hand now"
                )
            if now["reserved"]:
                self.journal.find(f"variant {variant}: {now['reserved']} are still reserved, for nobody")
            if now["on_hand"] < 0:
                self.journal.find(f"variant {variant} was oversold: {now['on_hand']} on hand")
        self.journal.count("units sold", sum(sold.values()))

    def _full_orders(self) -> Iterable[Json]:
        ids = list(self.orders)
        lines: dict[str, list[Json]] = defaultdict(list)
        for row in self.site.rows(
            "svc-orders",
            "SELECT order_id::text, variant_id::text, quantity FROM orders_orderline WHERE order_id::text = ANY(%s)",
            (ids,),
        ):
            lines[row["order_id"]].append(row)
        return [{**order, "lines": lines[order_id]} for order_id, order in self.orders.items()]

    # Mail and queues

    def _compare_mails(self) -> None:
        """One mail row for each confirmation, sent: the mail itself may in the worst case have gone twice."""
        rows = self.site.rows(
            "svc-notifications",
            "SELECT data->>'order_id' AS order_id, count(*) AS number, count(sent_at) AS sent FROM notifications_email"
            " WHERE kind = 'order_confirmed' GROUP BY 1",
        )
        mails = {row["order_id"]: row for row in rows}
        for order_id, order in self.orders.items():
            found = mails.get(order_id)
            if order["status"] in BOUGHT and (not found or (found["number"], found["sent"]) != (1, 1)):
                self.journal.find(
                    f"order {order_id} is confirmed; its mails: {dict(found) if found else 'none'}"
                )

    def _look_for_dead_letters(self) -> None:
        for queue, number in self.site.queued().items():
            if queue.endswith(".dead") and number:
                self.journal.find(f"{number} messages are in {queue}")
        for service in self.site.shop.services:
            for row in self.site.rows(
                service,
                "SELECT type, count(*) AS number, min(error) AS error FROM inbox_event WHERE status = 'dead' GROUP BY 1",
            ):
                self.journal.find(f"{service} gave up {row['number']} {row['type']}: {row['error'][:200]}")


def stock_of(site: Site, variants: Iterable[str]) -> dict[str, dict[str, int]]:
    """`on_hand` and `reserved` by variant."""
    rows = site.rows(
        "svc-catalog",
        "SELECT variant_id::text, on_hand, reserved FROM catalog_stock WHERE variant_id::text = ANY(%s)",
        (list(variants),),
    )
    return {row["variant_id"]: {"on_hand": row["on_hand"], "reserved": row["reserved"]} for row in rows}


def subject_of(access: str) -> str:
    import jwt

    return str(jwt.decode(access, options={"verify_signature": False})["sub"])


#: What the audit says of an order in `Site.keeping`, and rightly.
KEPT_MONEY = "ended-order-keeps-no-money"


def audit(site: Site, journal: Journal) -> None:
    """`make audit` on this stack, where nothing is in flight any more; whatever it finds is a finding, but that money is kept
    of the orders in `Site.keeping`."""
    done = subprocess.run(
        [str(site.layout.python), "-m", "audit", "--in-flight-limit", "1", "--wait", "1", "--json"],
        cwd=site.layout.root / "deploy",
        env={
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            **environment(site.shop.env, site.shop.services),
            **services.runtime(site.layout),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        journal.find(f"the audit ended with {done.returncode}: {done.stderr[-1000:]}")
        return
    report = json.loads(done.stdout)
    journal.note("audit", invariants=len(report["invariants"]))
    for finding in report["findings"]:
        if finding["invariant"] != KEPT_MONEY or finding["id"] not in site.keeping:
            said = f"{finding['expected']} expected, {finding['actual']} found"
            journal.find(f"audit, {finding['invariant']}: {finding['service']} {finding['id']}: {said}")
