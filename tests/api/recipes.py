"""One call that succeeds, for each operation of carts, orders and payments that a bare call does not satisfy."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from storefront import ADDRESS, Json

from api.world import ADMIN, BUYER, GUEST, World

#: Parts of a request: `path`, `query`, `headers`, `body`, each as far as it is needed.
Request = dict[str, Any]


@dataclass(frozen=True)
class Recipe:
    """`make` brings the world into the state in which the operation succeeds, and returns the request."""

    who: str
    make: Callable[[World], Request] = lambda world: {}


def key() -> dict[str, str]:
    return {"Idempotency-Key": f"fuzz-{uuid4().hex}"}


def _checkout(world: World) -> Json:
    world.cart()
    return {"shipping_address": ADDRESS, "shipping_method": world.buyer.order_body()["shipping_method"]}


def _own_cart(world: World) -> Request:
    world.cart()
    return {}


def _line(world: World) -> Request:
    return {"path": {"line_id": world.cart()["lines"][0]["id"]}}


def _new_line(world: World) -> Request:
    world.cart()
    return {"body": {"variant_id": world.variant()["id"], "quantity": 1}}


def _coupon_in_cart(world: World) -> str:
    """The code of a new coupon. The cart has something for it to apply to."""
    code = str(world.coupon()["code"])
    world.cart()
    return code


def _coupon_off(world: World) -> Request:
    code = _coupon_in_cart(world)
    world.buyer.post("/cart/coupons", {"code": code})
    return {"path": {"code": code}}


def _new_coupon(world: World) -> Request:
    return {"body": {"code": f"NEW{uuid4().hex[:10].upper()}", "kind": "free_shipping"}}


def _coupon(**body: Any) -> Callable[[World], Request]:
    return lambda world: {"path": {"coupon_id": world.coupon()["id"]}, **({"body": body} if body else {})}


def _of_order(state: str, *, with_key: bool = False, **body: Any) -> Callable[[World], Request]:
    """An order that has come to `state`: `placed`, `confirmed`, `shipped`, `delivered`."""

    def make(world: World) -> Request:
        order = getattr(world, state)()
        parts: Request = {"path": {"order_id": order["id"]}}
        if body:
            parts["body"] = body
        return parts | ({"headers": key()} if with_key else {})

    return make


def _return(world: World) -> Request:
    order = world.delivered()
    lines = [{"variant_id": line["variant_id"], "quantity": line["quantity"]} for line in order["lines"]]
    return {
        "path": {"order_id": order["id"]},
        "body": {"lines": lines, "reason": "It does not fit"},
        "headers": key(),
    }


def _credit_note(world: World) -> Request:
    order, refund = world.refunded()
    return {"path": {"order_id": order["id"], "refund_id": refund["id"]}}


def _of_payment(world: World, body: Json | None = None) -> Request:
    request: Request = {"path": {"payment_id": world.placed()["payment"]["id"]}}
    return request | ({"body": body} if body else {})


def _webhook(world: World) -> Request:
    """Genuine, and about something that is not for this shop."""
    event = {
        "id": f"evt_{uuid4().hex}",
        "type": "customer.created",
        "created": int(time.time()),
        "data": {"object": {}},
    }
    body = json.dumps(event).encode()
    moment = int(time.time())
    digest = hmac.new(world.webhook_secret.encode(), b"%d." % moment + body, hashlib.sha256).hexdigest()
    return {
        "path": {"provider": "sandbox"},
        "headers": {"Sandbox-Signature": f"t={moment},v1={digest}", "Content-Type": "application/json"},
        "content": body,
    }


RECIPES: dict[str, Recipe] = {
    "cart_retrieve": Recipe(BUYER, _own_cart),
    "cart_destroy": Recipe(BUYER, _own_cart),
    "cart_lines_create": Recipe(BUYER, _new_line),
    "cart_lines_partial_update": Recipe(BUYER, lambda world: {**_line(world), "body": {"quantity": 2}}),
    "cart_lines_destroy": Recipe(BUYER, _line),
    "cart_merge": Recipe(BUYER),
    "cart_coupons_create": Recipe(BUYER, lambda world: {"body": {"code": _coupon_in_cart(world)}}),
    "cart_coupons_destroy": Recipe(BUYER, _coupon_off),
    "cart_wishlist_list": Recipe(BUYER),
    "cart_wishlist_create": Recipe(BUYER, lambda world: {"body": {"variant_id": world.variant()["id"]}}),
    "cart_wishlist_move": Recipe(
        BUYER, lambda world: {"path": {"item_id": world.wish()["id"]}, "body": {"quantity": 1}}
    ),
    "cart_wishlist_destroy": Recipe(BUYER, lambda world: {"path": {"item_id": world.wish()["id"]}}),
    "cart_admin_coupons_list": Recipe(ADMIN),
    "cart_admin_coupons_create": Recipe(ADMIN, _new_coupon),
    "cart_admin_coupons_retrieve": Recipe(ADMIN, _coupon()),
    "cart_admin_coupons_partial_update": Recipe(ADMIN, _coupon(description="Changed")),
    "cart_admin_coupons_stop": Recipe(ADMIN, _coupon()),
    "orders_shipping_methods_list": Recipe(GUEST, lambda world: {"query": {"country": "GB"}}),
    "orders_quote": Recipe(BUYER, lambda world: {"body": _checkout(world)}),
    "orders_create": Recipe(BUYER, lambda world: {"body": _checkout(world), "headers": key()}),
    "orders_list": Recipe(BUYER),
    "orders_admin_list": Recipe(ADMIN),
    "orders_admin_retrieve": Recipe(ADMIN, _of_order("placed")),
    "orders_refund": Recipe(ADMIN, _of_order("confirmed", with_key=True, reason="A favour")),
    "orders_returns_list": Recipe(BUYER, lambda world: {"path": {"order_id": world.placed()["id"]}}),
    "orders_returns_create": Recipe(BUYER, _return),
    "orders_returns_approve": Recipe(ADMIN, lambda world: {"path": {"return_id": world.returned()["id"]}}),
    "orders_returns_receive": Recipe(
        ADMIN, lambda world: {"path": {"return_id": world.returned(approved=True)["id"]}, "body": {}}
    ),
    "orders_returns_reject": Recipe(
        ADMIN,
        lambda world: {"path": {"return_id": world.returned()["id"]}, "body": {"reason": "It has been worn"}},
    ),
    "orders_credit_note": Recipe(BUYER, _credit_note),
    "orders_invoice": Recipe(BUYER, _of_order("confirmed")),
    "orders_retrieve": Recipe(BUYER, _of_order("placed")),
    "orders_cancel": Recipe(BUYER, _of_order("placed")),
    "orders_payments_create": Recipe(BUYER, _of_order("placed", with_key=True)),
    "orders_ship": Recipe(ADMIN, _of_order("confirmed", carrier="DHL", tracking_number="JD014600001")),
    "orders_deliver": Recipe(ADMIN, _of_order("shipped")),
    "payment_methods_list": Recipe(BUYER),
    "payments_retrieve": Recipe(BUYER, _of_payment),
    "payments_confirm": Recipe(BUYER, lambda world: _of_payment(world, {"payment_method": "pm_card_visa"})),
    "payments_webhook": Recipe(GUEST, _webhook),
}
