"""Who calls, and what there is to be called about: enough of a shop for every operation of the API to succeed."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from storefront import Json, Storefront, eventually, expect

GUEST, BUYER, SELLER, ADMIN = "guest", "buyer", "seller", "admin"


@dataclass
class World:
    """Clients by role, and ids of things that exist, by the name that path parameters have in the API's description."""

    base_url: str
    password: str
    webhook_secret: str
    buyers: list[Storefront] = field(default_factory=list)
    seller: Storefront = field(init=False)
    admin: Storefront = field(init=False)
    known: dict[str, list[str]] = field(default_factory=dict)
    _addresses: Any = field(default_factory=lambda: itertools.count(1))
    _variants: list[Json] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.seller, self.admin = self.client(), self.client()
        self.seller.login("seller@example.com", self.password)
        self.admin.login("admin@example.com", self.password)
        for _ in range(4):
            buyer = self.client()
            buyer.register()
            self.buyers.append(buyer)

    def close(self) -> None:
        for client in (*self.buyers, self.seller, self.admin):
            client.http.close()

    def client(self) -> Storefront:
        return Storefront(self.base_url, address=self.address())

    def address(self) -> str:
        """A client address that nobody has used: the edge limits each by itself."""
        number = next(self._addresses)
        return f"198.18.{100 + number // 250 % 100}.{number % 250 + 1}"

    def learn(self, **ids: str) -> None:
        for name, value in ids.items():
            self.known.setdefault(name, []).append(value)

    # Things in the state in which an operation takes them.

    @property
    def buyer(self) -> Storefront:
        return self.buyers[0]

    def variant(self) -> Json:
        """With plenty in stock, and of the seeded seller."""
        if not self._variants:
            self._variants = [self.buyer.find_variant(at_least=30)]
            self.learn(variant_id=self._variants[0]["id"], product_id=self._variants[0]["product"]["id"])
        return self._variants[0]

    def cart(self, quantity: int = 1) -> Json:
        """The buyer's cart with one line."""
        expect(self.buyer.delete("/cart"), 200)
        cart = self.buyer.add_to_cart(self.variant()["id"], quantity)
        self.learn(line_id=cart["lines"][0]["id"])
        return cart

    def placed(self, quantity: int = 1) -> Json:
        self.cart(quantity)
        order = self.buyer.place_order()
        self.learn(order_id=order["id"], payment_id=order["payment"]["id"])
        return order

    def confirmed(self, quantity: int = 1) -> Json:
        order = self.placed(quantity)
        expect(self.buyer.confirm(order), 200)
        return self.buyer.wait_for_order(order["id"], "confirmed")

    def shipped(self) -> Json:
        order = self.confirmed()
        body = {"carrier": "DHL", "tracking_number": "JD014600001"}
        expect(self.admin.post(f"/orders/{order['id']}/ship", body), 200)
        return self.buyer.wait_for_order(order["id"], "shipped")

    def delivered(self) -> Json:
        order = self.shipped()
        expect(self.admin.post(f"/orders/{order['id']}/deliver"), 200)
        return self.buyer.wait_for_order(order["id"], "delivered")

    def refunded(self) -> tuple[Json, Json]:
        """A confirmed order and a refund of it that has reached the buyer."""
        order = self.confirmed()
        headers = {"Idempotency-Key": uuid4().hex}
        expect(self.admin.post(f"/orders/{order['id']}/refund", {"reason": "A favour"}, headers=headers), 201)
        seen = eventually(
            lambda: expect(self.admin.get(f"/orders/admin/{order['id']}"), 200),
            lambda one: one["refunds"][0]["status"] == "succeeded",
        )
        self.learn(refund_id=seen["refunds"][0]["id"])
        return order, seen["refunds"][0]

    def returned(self, *, approved: bool = False) -> Json:
        """A return of everything in a delivered order."""
        order = self.delivered()
        lines = [{"variant_id": line["variant_id"], "quantity": line["quantity"]} for line in order["lines"]]
        body = {"lines": lines, "reason": "It does not fit"}
        wanted: Json = expect(self.buyer.post(f"/orders/{order['id']}/returns", body), 201)
        self.learn(return_id=wanted["id"])
        if approved:
            expect(self.admin.post(f"/orders/returns/{wanted['id']}/approve"), 200)
        return wanted

    def coupon(self) -> Json:
        body = {"code": f"FUZZ{uuid4().hex[:10].upper()}", "kind": "percent", "basis_points": 1000}
        coupon = expect(self.admin.post("/cart/admin/coupons", body), 201)
        self.learn(coupon_id=coupon["id"], code=coupon["code"])
        return coupon

    def wish(self) -> Json:
        self.variant()
        item = self.buyer.post("/cart/wishlist", {"variant_id": self.variant()["id"]}).json()
        self.learn(item_id=item["id"])
        return item


def caller(world: World, who: str, chance: random.Random | None = None) -> Storefront | None:
    """The client that a role stands for; None for a guest."""
    if who == GUEST:
        return None
    if who == BUYER:
        return chance.choice(world.buyers) if chance else world.buyer
    return world.seller if who == SELLER else world.admin
