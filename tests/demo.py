"""`make demo`: buys something through the gateway, step by step, and shows what every service then knows of it.

Environment: SHOP_BASE_URL; SHOP_CLIENT_ADDRESS, whom the buyer stands for where the gateway trusts the caller.
Exit code 1 with the failing answer when a step goes wrong.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any
from uuid import uuid4

import httpx
from storefront import Storefront, eventually, expect


def show(response: httpx.Response) -> None:
    ms = response.elapsed.total_seconds() * 1000
    code = ""
    if response.is_error and "json" in response.headers.get("Content-Type", ""):
        code = f"  {response.json().get('code', '')}"
    request = response.request
    path = request.url.raw_path.decode()
    print(f"    {request.method:<6} {path[:76]:<76} {response.status_code} {ms:7.1f} ms{code}")


def money(value: dict[str, Any]) -> str:
    return f"{value['amount'] / 100:.2f} {value['currency']}"


def step(text: str) -> None:
    print(f"\n  {text}", flush=True)


def buy(shop: Storefront) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Returns the buyer's e-mail address, the variant before the purchase and the confirmed order."""
    step("Register, sign in, renew the tokens")
    email = shop.register()
    shop.renew()

    step("Look around")
    categories = expect(shop.get("/catalog/categories"), 200)["results"]
    print(f"      {len(categories)} categories: {', '.join(category['name'] for category in categories[:6])}")
    variant = shop.find_variant()
    print(
        f"      {variant['product']['name']}: {variant['sku']}, {money(variant['price'])}, {variant['available']} available"
    )

    step("Fill the cart, ask for the price")
    shop.add_to_cart(variant["id"], 2)
    body = shop.order_body()
    quote = expect(shop.post("/orders/quote", body), 200)
    print(f"      total {money(quote['total'])}, of it shipping {money(quote['shipping'])}")

    step("Order, twice with one key: one order")
    key = uuid4().hex
    order = shop.place_order(body, key=key)
    again = shop.post("/orders", body, headers={"Idempotency-Key": key})
    if expect(again, 201)["id"] != order["id"] or again.headers.get("Idempotent-Replayed") != "true":
        raise AssertionError("the second request made another order")
    print(f"      order {order['number']}: {order['status']}, {money(order['total'])}")

    step("Pay: declined once, then accepted")
    expect(shop.confirm(order, "pm_card_chargeDeclined"), 402)
    expect(shop.confirm(order, "pm_card_visa"), 200)
    paid = time.monotonic()
    order = shop.wait_for_order(order["id"], "confirmed")
    print(
        f"      order {order['number']} is {order['status']} {1000 * (time.monotonic() - paid):.0f} ms after the payment"
    )
    return email, variant, order


def inspect(shop: Storefront, email: str, before: dict[str, Any], order: dict[str, Any]) -> None:
    step("What every service knows of it")
    user = expect(shop.get("/accounts/me"), 200)
    payment = expect(shop.get(f"/payments/{order['payment']['id']}"), 200)

    def variant() -> dict[str, Any]:
        product = expect(shop.get(f"/catalog/products/{before['product']['id']}"), 200)
        return next(each for each in product["variants"] if each["id"] == before["id"])

    cart = eventually(lambda: expect(shop.get("/cart"), 200), lambda cart: not cart["lines"])
    after = eventually(variant, lambda each: each["available"] <= before["available"] - 2)

    def inbox() -> list[dict[str, Any]]:
        return list(expect(shop.get("/notifications"), 200)["results"])

    notes = eventually(inbox, lambda found: any(note["kind"] == "order_confirmed" for note in found))
    mails = eventually(
        lambda: shop.mails_to(email), lambda found: any(order["number"] in mail["subject"] for mail in found)
    )

    history = " -> ".join(entry["status"] for entry in order["history"])
    rows = {
        "svc-accounts": f"{user['email']}, roles {', '.join(user['roles'])}",
        "svc-catalog": f"{before['sku']}: {before['available']} available before, {after['available']} after",
        "svc-cart": f"version {cart['version']}, {len(cart['lines'])} lines",
        "svc-orders": f"{order['number']}: {history}; {order['payment_status']}; total {money(order['total'])}",
        "svc-payments": f"{payment['id']}: {payment['status']}, {money(payment['amount'])} by {payment['provider']}",
        "svc-notifications": "inbox: " + ", ".join(note["kind"] for note in notes),
        "mail catcher": "; ".join(mail["subject"] for mail in mails),
    }
    print()
    for service, knowledge in rows.items():
        print(f"    {service:<18} {knowledge}")
    print(f"\n  The order is {order['status']}.\n")


def main() -> int:
    base_url = os.environ.get("SHOP_BASE_URL", "http://localhost:8080")
    print(f"\n  Buying something at {base_url}")
    try:
        with Storefront(base_url, address=os.environ.get("SHOP_CLIENT_ADDRESS"), watch=show) as shop:
            inspect(shop, *buy(shop))
    except httpx.TransportError as error:
        print(
            f"\n  The shop does not answer at {base_url} ({error}). Is it up? `make up` starts it.",
            file=sys.stderr,
        )
        return 1
    except AssertionError as error:
        print(f"\n  The purchase failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
