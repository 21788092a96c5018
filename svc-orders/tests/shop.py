"""The services around svc-orders, as state and answers of a few lines: carts, stock, payments, address books.

Every answer fails the test when it is asked for while a database transaction is open.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import msgspec
from django.db import connection

from shared_lib.contracts.events import OrderCancelled
from shared_lib.ids import uuid7
from shared_lib.outbox.models import OutboxEvent
from shared_lib.testing.upstream import Upstreams

USD = "USD"
ADDRESS = {
    "full_name": "Ada Lovelace",
    "line1": "12 St James's Square",
    "city": "London",
    "postal_code": "SW1Y 4LB",
    "country": "GB",
}


class Shop:
    """`before` and `after` run at a call named cart, coupon, coupons_back, reserve, release, pay, cancel,
    refund, address or variants.

    A hook gets the request and may raise: an `httpx` error for an answer that is lost.
    """

    def __init__(self, upstream: Upstreams) -> None:
        self.lock = threading.RLock()
        self.base = _transactions()
        self.carts: dict[str, dict[str, Any]] = {}
        self.addresses: dict[str, dict[str, Any]] = {}
        self.prices: dict[str, int] = {}
        self.stock: dict[str, int] = {}
        self.reservations: dict[str, list[dict[str, Any]]] = {}
        self.closed_reservations: set[str] = set()
        self.coupon_uses: dict[str, set[str]] = {}
        self.closed_coupon_uses: set[str] = set()
        self.payments: dict[str, dict[str, Any]] = {}
        self.tombstones: set[str] = set()
        self.refunds: dict[str, dict[str, Any]] = {}
        self.refuse_payments = ""  # or the field that is refused
        self.calls: list[str] = []
        self.before: dict[str, list[Callable[[httpx.Request], None]]] = defaultdict(list)
        self.after: dict[str, list[Callable[[httpx.Request], None]]] = defaultdict(list)
        for name, service, method, path in (
            ("cart", "svc-cart", "GET", "/internal/v1/carts/*"),
            ("coupon", "svc-cart", "POST", "/internal/v1/coupon-uses"),
            ("coupons_back", "svc-cart", "DELETE", "/internal/v1/coupon-uses/*"),
            ("address", "svc-accounts", "GET", "/internal/v1/users/*"),
            ("variants", "svc-catalog", "GET", "/internal/v1/variants"),
            ("reserve", "svc-catalog", "POST", "/internal/v1/reservations"),
            ("release", "svc-catalog", "DELETE", "/internal/v1/reservations/*"),
            ("payment", "svc-payments", "POST", "/internal/v1/payments/*"),
            ("pay", "svc-payments", "POST", "/internal/v1/payments"),
        ):
            upstream(service, method, path, self._answerer(name))

    def _answerer(self, name: str) -> Callable[[httpx.Request], Any]:
        def answer(request: httpx.Request) -> Any:
            assert _transactions() == self.base, f"{name} was called inside a transaction"
            step = request.url.path.rsplit("/", 1)[1].removesuffix("s") if name == "payment" else name
            self.calls.append(step)
            _run(self.before[step], request)
            with self.lock:
                found = getattr(self, f"_{step}")(request)
            _run(self.after[step], request)
            return found

        return answer

    # What a test arranges.

    def sell(self, price: int = 1999, *, stock: int = 10) -> UUID:
        """A new variant."""
        variant_id = uuid7()
        self.prices[str(variant_id)], self.stock[str(variant_id)] = price, stock
        return variant_id

    def fill_cart(
        self, user_id: UUID, *lines: tuple[UUID, int], coupons: list[dict[str, Any]] | None = None
    ) -> dict[str, Any]:
        """The user's cart gets these lines and its next version. Coupons stay unless new ones are given."""
        cart = self.carts.setdefault(
            str(user_id), {"cart_id": str(uuid7()), "user_id": str(user_id), "version": 0}
        )
        cart["version"] += 1
        cart["lines"] = [
            {"line_id": str(uuid7()), "variant_id": str(variant), "quantity": quantity}
            for variant, quantity in lines
        ]
        if coupons is not None:
            cart["coupons"] = coupons
        return cart

    def add_address(self, user_id: UUID, **changes: Any) -> UUID:
        address_id = uuid7()
        self.addresses[f"{user_id}/addresses/{address_id}"] = {
            "id": str(address_id),
            "address": {**ADDRESS, **changes},
        }
        return address_id

    def move_payment(self, payment_id: object, status: str) -> dict[str, Any]:
        """svc-payments changes a payment by itself; returns it."""
        with self.lock:
            payment = self.payments[str(payment_id)]
            payment["status"], payment["version"] = status, payment["version"] + 1
            return payment

    def lose_answer(self, name: str) -> None:
        """The next call named `name` takes effect, but its answer never comes."""

        def lose(request: httpx.Request) -> None:
            self.after[name].remove(lose)
            raise httpx.ReadTimeout("no answer", request=request)

        self.after[name].append(lose)

    def take_away(self, name: str) -> Callable[[], None]:
        """Calls named `name` do not come through, until what is returned is called."""

        def refuse(request: httpx.Request) -> None:
            raise httpx.ConnectError("refused", request=request)

        self.before[name].append(refuse)
        return lambda: self.before[name].remove(refuse)

    def hear_events(self) -> None:
        """svc-catalog and svc-cart take what svc-orders has told: stock and coupons of cancelled orders come back."""
        for row in OutboxEvent.objects.filter(type=OrderCancelled.event_type):
            event = row.event
            assert isinstance(event, OrderCancelled)
            self._give_back(str(event.order_id))
            self._return_coupons(str(event.order_id))

    # What the services answer.

    def _cart(self, request: httpx.Request) -> Any:
        user_id = request.url.path.rsplit("/", 1)[1]
        empty = {"cart_id": str(uuid7()), "user_id": user_id, "version": 0, "lines": []}
        return 200, self.carts.get(user_id, empty)

    def _coupon(self, request: httpx.Request) -> Any:
        """Every coupon may be used by one order at a time."""
        body = msgspec.json.decode(request.content)
        order_id, code = body["order_id"], body["code"]
        if order_id in self.closed_coupon_uses:
            return 409, {"code": "coupon_use_closed"}
        if any(code in codes for other, codes in self.coupon_uses.items() if other != order_id):
            return 409, {
                "code": "coupon_not_applicable",
                "detail": "This coupon has been used up.",
                "reason": "limit_reached",
            }
        self.coupon_uses.setdefault(order_id, set()).add(code)
        return 201, {"order_id": order_id, "code": code}

    def _coupons_back(self, request: httpx.Request) -> Any:
        self._return_coupons(request.url.path.rsplit("/", 1)[1])

    def _return_coupons(self, order_id: str) -> None:
        self.closed_coupon_uses.add(order_id)
        self.coupon_uses.pop(order_id, None)

    def _address(self, request: httpx.Request) -> Any:
        found = self.addresses.get(request.url.path.removeprefix("/internal/v1/users/"))
        return (200, found) if found else (404, {"code": "not_found"})

    def _variants(self, request: httpx.Request) -> Any:
        ids = [variant for variant in request.url.params["ids"].split(",") if variant in self.prices]
        more = {"product_slug": "thing", "category": "things", "product_version": 1, "stock_version": 1}
        return 200, {
            "results": [{**self._offer(each), **more, "available": self.stock[each]} for each in ids]
        }

    def _reserve(self, request: httpx.Request) -> Any:
        body = msgspec.json.decode(request.content)
        order_id, lines = body["order_id"], body["lines"]
        if order_id in self.closed_reservations:
            return 409, {"code": "reservation_closed"}
        if order_id not in self.reservations:
            short = [line for line in lines if self.stock.get(line["variant_id"], 0) < line["quantity"]]
            if short:
                return 409, {"code": "out_of_stock", "lines": [self._shortage(line) for line in short]}
            for line in lines:
                self.stock[line["variant_id"]] -= line["quantity"]
            self.reservations[order_id] = [
                {**self._offer(line["variant_id"]), "quantity": line["quantity"]} for line in reversed(lines)
            ]
        reservation = {
            "order_id": order_id,
            "expires_at": "2030-01-01T00:00:00Z",
            "lines": self.reservations[order_id],
        }
        return 201, reservation

    def _shortage(self, line: dict[str, Any]) -> dict[str, Any]:
        variant = line["variant_id"]
        return {"variant_id": variant, "requested": line["quantity"], "available": self.stock.get(variant, 0)}

    def _offer(self, variant: str) -> dict[str, Any]:
        return {
            "variant_id": variant,
            "product_id": variant,
            "seller_id": "01938b8e-0000-7000-8000-0000000000e1",
            "sku": f"SKU-{variant[-4:]}",
            "name": f"Thing {variant[-4:]}",
            "unit_price": {"amount": self.prices[variant], "currency": USD},
            "weight_grams": 250,
        }

    def _release(self, request: httpx.Request) -> Any:
        self._give_back(request.url.path.rsplit("/", 1)[1])

    def _give_back(self, order_id: str) -> None:
        self.closed_reservations.add(order_id)
        for line in self.reservations.pop(order_id, []):
            self.stock[line["variant_id"]] += line["quantity"]

    def _pay(self, request: httpx.Request) -> Any:
        body = msgspec.json.decode(request.content)
        if self.refuse_payments:
            errors = [{"field": self.refuse_payments, "code": "invalid", "detail": "Not here."}]
            return 422, {"code": "validation_failed", "detail": "Not here.", "errors": errors}
        known = body["payment_id"] in self.payments
        payment = self.payments.setdefault(
            body["payment_id"],
            {
                "id": body["payment_id"],
                "order_id": body["order_id"],
                "user_id": body["user_id"],
                "version": 1,
                "status": "canceled"
                if body["payment_id"] in self.tombstones
                else "requires_payment_method"
                if body["amount"]["amount"]
                else "succeeded",
                "amount": body["amount"],
                "refunded": {"amount": 0, "currency": USD},
                "provider": body["provider"] or "sandbox",
                "action": None,
            },
        )
        return 200 if known else 201, dict(payment)

    def _cancel(self, request: httpx.Request) -> Any:
        payment_id = request.url.path.split("/")[-2]
        payment = self.payments.get(payment_id)
        if payment is None:
            self.tombstones.add(payment_id)
            return 404, {"code": "not_found"}
        of_nothing = payment["amount"]["amount"] == 0 and payment["status"] == "succeeded"
        if of_nothing or payment["status"] in ("requires_payment_method", "requires_action"):
            payment = self.move_payment(payment_id, "canceled")
        return 200, dict(payment)

    def _refund(self, request: httpx.Request) -> Any:
        body = msgspec.json.decode(request.content)
        payment = self.payments[request.url.path.split("/")[-2]]
        if body["refund_id"] not in self.refunds:
            sent = sum(
                refund["amount"]["amount"]
                for refund in self.refunds.values()
                if refund.get("payment_id", payment["id"]) == payment["id"]
            )
            if (
                payment["status"] != "succeeded"
                or sent + body["amount"]["amount"] > payment["amount"]["amount"]
            ):
                return 409, {"code": "refund_exceeds_payment", "detail": "More than was paid."}
            self.refunds[body["refund_id"]] = {
                "id": body["refund_id"],
                "payment_id": payment["id"],
                "amount": body["amount"],
                "status": "pending",
            }
        return 201, self.refunds[body["refund_id"]]


def _transactions() -> int:
    """How many transactions and savepoints of this thread are open; that of the test itself is one."""
    return int(connection.in_atomic_block) + len(connection.savepoint_ids)


def _run(hooks: list[Callable[[httpx.Request], None]], request: httpx.Request) -> None:
    for hook in list(hooks):
        hook(request)
