"""Lives of buyers at random, on the real stack: what a buyer sees holds after each step, and the audit is clean after each life.

SHOP_LIVES is how many lives are lived (default 2), SHOP_LIVES_SEED repeats a run. Each life is a buyer with a cart, coupons and
orders that are paid, declined, delayed, cancelled, left to expire, shipped, sent back and refunded, in any order.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from storefront import ADDRESS, Json, Storefront, eventually, expect

ROOT = Path(__file__).resolve().parents[2]
LIVES = int(os.environ.get("SHOP_LIVES", "2"))
SEED = int(os.environ.get("SHOP_LIVES_SEED", "1"))
STEPS = 30
#: Where an order may go; from each state it may also stay.
FORWARD = {
    "awaiting_payment": {"confirmed", "cancelled"},
    "confirmed": {"shipped", "cancelled"},
    "shipped": {"delivered"},
    "delivered": set(),
    "cancelled": set(),
}
#: All of the tests' stack; seconds that a thing may take there before the audit calls it stuck.
PATIENCE = ("--in-flight-limit", "20", "--wait", "40")


class Life:
    """One buyer. A step that the shop refuses with a documented answer is a step too."""

    def __init__(
        self, chance: random.Random, buyer: Storefront, admin: Storefront, expire: Callable[[str], None]
    ) -> None:
        self.chance, self.buyer, self.admin, self._expire = chance, buyer, admin, expire
        self.seen: dict[str, str] = {}
        self.steps: Counter[str] = Counter()
        self.goods = [
            variant["id"]
            for item in expect(buyer.get("/catalog/products?in_stock=true&page_size=8"), 200)["results"]
            for variant in expect(buyer.get(f"/catalog/products/{item['slug']}"), 200)["variants"]
            if variant["available"] >= 5
        ]
        self.coupons = [self._coupon(**rule) for rule in COUPONS]

    def _coupon(self, **rule: Any) -> str:
        code = f"LIFE{uuid4().hex[:10].upper()}"
        expect(self.admin.post("/cart/admin/coupons", {"code": code, "user_limit": 2, **rule}), 201)
        return code

    def step(self) -> None:
        """One of the steps for which the buyer has what it takes."""
        answer = None
        while answer is None:
            name = self.chance.choice([name for name, weight in WEIGHTS.items() for _ in range(weight)])
            answer = getattr(self, name)()
        self.steps[f"{name} {answer.status_code}"] += 1
        assert answer.status_code in EXPECTED[name], f"{name}: {answer.status_code} {answer.text}"
        self.check()

    # What a buyer sees

    def check(self) -> None:
        cart = expect(self.buyer.get("/cart"), 200)
        assert cart["total"]["amount"] == cart["subtotal"]["amount"] - cart["discount"]["amount"] >= 0
        assert cart["subtotal"]["amount"] == sum(line["line_total"]["amount"] for line in cart["lines"])
        for order in self.orders():
            amounts = {
                name: order[name]["amount"] for name in ("subtotal", "discount", "shipping", "tax", "total")
            }
            assert amounts["total"] == (
                amounts["subtotal"] - amounts["discount"] + amounts["shipping"] + amounts["tax"]
            ), amounts
            assert min(amounts.values()) >= 0
            before = self.seen.get(order["id"], order["status"])
            assert order["status"] in reachable(before), f"{before} -> {order['status']}"
            self.seen[order["id"]] = order["status"]

    def orders(self, *statuses: str) -> list[Json]:
        found = expect(self.buyer.get("/orders?page_size=100"), 200)["results"]
        return [order for order in found if not statuses or order["status"] in statuses]

    def one(self, *statuses: str) -> Json | None:
        found = self.orders(*statuses)
        return self.chance.choice(found) if found else None

    # What a buyer does

    def add(self) -> httpx.Response:
        body = {"variant_id": self.chance.choice(self.goods), "quantity": self.chance.randint(1, 3)}
        return self.buyer.post("/cart/lines", body)

    def change(self) -> httpx.Response | None:
        lines = expect(self.buyer.get("/cart"), 200)["lines"]
        if not lines:
            return None
        line = self.chance.choice(lines)
        return self.buyer.patch(f"/cart/lines/{line['id']}", {"quantity": self.chance.randint(1, 4)})

    def apply_coupon(self) -> httpx.Response:
        return self.buyer.post("/cart/coupons", {"code": self.chance.choice(self.coupons)})

    def drop_coupon(self) -> httpx.Response:
        return self.buyer.delete(f"/cart/coupons/{self.chance.choice(self.coupons)}")

    def order(self) -> httpx.Response:
        """What a quote says is what the order costs, if it comes about."""
        body = {"shipping_address": {**ADDRESS, "country": self.chance.choice(("GB", "US"))}}
        country = body["shipping_address"]["country"]
        methods = expect(self.buyer.get("/orders/shipping-methods", params={"country": country}), 200)[
            "results"
        ]
        body["shipping_method"] = self.chance.choice(methods)["code"]
        quote = self.buyer.post("/orders/quote", body)
        answer = self.buyer.post("/orders", body, headers={"Idempotency-Key": uuid4().hex})
        if answer.status_code == 201 and quote.status_code == 200:
            assert answer.json()["total"] == quote.json()["total"]
        return answer

    def pay(self) -> httpx.Response | None:
        order = self.one("awaiting_payment")
        if order is None:
            return None
        method = self.chance.choice(
            (
                "pm_card_visa",
                "pm_card_visa",
                "pm_card_chargeDeclined",
                "pm_card_authenticationRequired",
                "pm_card_delayed",
            )
        )
        answer = self.buyer.confirm(order, method)
        if method == "pm_card_visa" and answer.status_code == 200:
            self.buyer.wait_for_order(order["id"], "confirmed")
        return answer

    def pay_again(self) -> httpx.Response | None:
        order = self.one("awaiting_payment", "cancelled")
        if order is None:
            return None
        return self.buyer.post(
            f"/orders/{order['id']}/payments", {}, headers={"Idempotency-Key": uuid4().hex}
        )

    def cancel(self) -> httpx.Response | None:
        order = self.one()
        return None if order is None else self.buyer.post(f"/orders/{order['id']}/cancel")

    def expire(self) -> httpx.Response | None:
        """The time of an unpaid order is over; the shop's own sweeper sees it."""
        order = self.one("awaiting_payment")
        if order is None:
            return None
        self._expire(order["id"])
        return self.buyer.get(f"/orders/{order['id']}")

    def ship(self) -> httpx.Response | None:
        order = self.one("confirmed")
        if order is None:
            return None
        line = self.chance.choice(order["lines"])
        parcel: Json = {"carrier": "DHL", "tracking_number": uuid4().hex[:12]}
        if self.chance.random() < 0.4:
            parcel["lines"] = [{"variant_id": line["variant_id"], "quantity": 1}]
        return self.admin.post(f"/orders/{order['id']}/ship", parcel)

    def deliver(self) -> httpx.Response | None:
        order = self.one("shipped")
        return None if order is None else self.admin.post(f"/orders/{order['id']}/deliver")

    def send_back(self) -> httpx.Response | None:
        order = self.one("delivered")
        if order is None:
            return None
        line = self.chance.choice(order["lines"])
        body = {"lines": [{"variant_id": line["variant_id"], "quantity": 1}], "reason": "Too small"}
        answer = self.buyer.post(f"/orders/{order['id']}/returns", body)
        fate = self.chance.random()
        if answer.status_code == 201 and fate < 0.8:
            wanted = answer.json()["id"]
            if fate < 0.2:
                expect(self.admin.post(f"/orders/returns/{wanted}/reject", {"reason": "It is worn"}), 200)
                return answer
            expect(self.admin.post(f"/orders/returns/{wanted}/approve"), 200)
            expect(self.admin.post(f"/orders/returns/{wanted}/receive", {}), 200)
        return answer

    def refund(self) -> httpx.Response | None:
        order = self.one("confirmed", "shipped", "delivered")
        if order is None:
            return None
        amount = {"amount": self.chance.randint(1, 1500), "currency": order["total"]["currency"]}
        body = {"amount": amount, "reason": "Sorry"}
        return self.admin.post(
            f"/orders/{order['id']}/refund", body, headers={"Idempotency-Key": uuid4().hex}
        )


COUPONS = (
    {"kind": "percent", "basis_points": 1250},
    {"kind": "fixed", "amount": {"amount": 700, "currency": "USD"}},
    {"kind": "free_shipping"},
    {"kind": "percent", "basis_points": 10_000},
)
WEIGHTS = {
    "add": 6, "change": 2, "apply_coupon": 2, "drop_coupon": 1, "order": 5, "pay": 8, "pay_again": 1, "cancel": 1,
    "expire": 1, "ship": 3, "deliver": 3, "send_back": 3, "refund": 2,
}  # fmt: skip
#: What each step may be answered, with what the buyer has at that moment.
EXPECTED: dict[str, set[int]] = {
    "add": {201, 409, 422}, "change": {200, 404, 409, 422}, "apply_coupon": {200, 422}, "drop_coupon": {200, 404},
    "order": {201, 409, 422}, "pay": {200, 402, 409}, "pay_again": {201, 409}, "cancel": {200, 409}, "expire": {200},
    "ship": {200, 409},
    "deliver": {200, 409}, "send_back": {201, 409}, "refund": {201, 409},
}  # fmt: skip


def reachable(status: str) -> set[str]:
    return {status}.union(*(reachable(after) for after in FORWARD[status]))


@pytest.fixture
def expire(stack_env: dict[str, str]) -> Iterator[Callable[[str], None]]:
    """Moves the deadline of an unpaid order to now."""
    port = (
        stack_env.get("SVC_ORDERS_POSTGRES_PORT") or stack_env["POSTGRES_PORT"]
    )  # containers: a server for each
    place = f"127.0.0.1:{port}/svc_orders"
    url = f"postgresql://svc_orders:{stack_env['SVC_ORDERS_DATABASE_PASSWORD']}@{place}"
    with psycopg.connect(url, autocommit=True) as connection:

        def move(order_id: str) -> None:
            connection.execute(
                "UPDATE orders_order SET expires_at = now(), close_at = now() WHERE id = %s AND status = 'awaiting_payment'"
                " AND payment_status = 'unpaid'",
                [order_id],
            )

        yield move


def audit() -> None:
    command = [str(ROOT / "deploy" / "shop"), "audit", *PATIENCE]
    done = subprocess.run(
        command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("number", range(LIVES))
def test_a_life_at_random_leaves_the_books_clean(
    storefront: Callable[[], Storefront], admin: Storefront, expire: Callable[[str], None], number: int
) -> None:
    buyer = storefront()
    buyer.register()
    life = Life(random.Random(SEED * 1_000_000 + number), buyer, admin, expire)

    for _ in range(STEPS):
        life.step()

    print(f"life {number}: {dict(sorted(life.steps.items()))}")
    eventually(
        lambda: life.orders("awaiting_payment"),
        lambda left: not [order for order in left if order["payment_status"] == "processing"],
        seconds=30,
    )
    audit()
