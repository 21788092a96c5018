"""A purchase, from registration to the mail, through the gateway and all six services."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from storefront import ADDRESS, Storefront, eventually, expect


def available(shop: Storefront, variant: dict) -> int:
    product = shop.product(variant["product"]["id"])
    return next(each["available"] for each in product["variants"] if each["id"] == variant["id"])


def test_a_purchase_reaches_every_service(shop):
    email = shop.register()
    shop.renew()
    variant = shop.find_variant(at_least=10)
    cart = shop.add_to_cart(variant["id"], 3)
    assert cart["lines"][0]["line_total"]["amount"] == 3 * variant["price"]["amount"]

    body = shop.order_body()
    quote = expect(shop.post("/orders/quote", body), 200)
    order = shop.place_order({**body, "cart_version": cart["version"], "expected_total": quote["total"]})
    assert order["status"] == "awaiting_payment"
    assert order["total"] == quote["total"]
    assert order["total"]["amount"] == (
        order["subtotal"]["amount"]
        - order["discount"]["amount"]
        + order["shipping"]["amount"]
        + order["tax"]["amount"]
    )
    assert order["payment"]["status"] == "requires_payment_method"
    assert available(shop, variant) == variant["available"] - 3

    declined = shop.confirm(order, "pm_card_chargeDeclined")
    assert expect(declined, 402)["code"] == "card_declined"
    assert expect(shop.get(f"/payments/{order['payment']['id']}"), 200)["status"] == "requires_payment_method"

    assert expect(shop.confirm(order), 200)["status"] == "succeeded"
    order = shop.wait_for_order(order["id"], "confirmed")
    assert order["payment_status"] == "paid"
    assert [entry["status"] for entry in order["history"]] == ["awaiting_payment", "confirmed"]
    again = shop.confirm(order)
    assert expect(again, 409)["code"] == "payment_not_confirmable"

    eventually(lambda: expect(shop.get("/cart"), 200)["lines"], lambda lines: lines == [])
    assert available(shop, variant) == variant["available"] - 3
    inbox = eventually(
        lambda: expect(shop.get("/notifications?unread=true"), 200)["results"],
        lambda notes: any(note["kind"] == "order_confirmed" for note in notes),
    )
    confirmed = [note for note in inbox if note["kind"] == "order_confirmed"]
    assert len(confirmed) == 1
    assert confirmed[0]["data"]["order_id"] == order["id"]
    mails = eventually(
        lambda: shop.mails_to(email), lambda found: any(order["number"] in mail["subject"] for mail in found)
    )
    assert len([mail for mail in mails if order["number"] in mail["subject"]]) == 1


def test_what_is_added_to_the_cart_while_paying_stays_in_it(buyer):
    variant = buyer.find_variant(at_least=10)
    buyer.add_to_cart(variant["id"], 2)
    order = buyer.place_order()
    buyer.add_to_cart(variant["id"], 1)
    expect(buyer.confirm(order), 200)
    buyer.wait_for_order(order["id"], "confirmed")
    lines = eventually(
        lambda: expect(buyer.get("/cart"), 200)["lines"], lambda found: found[0]["quantity"] == 1
    )
    assert [line["variant_id"] for line in lines] == [variant["id"]]


def test_a_guests_cart_becomes_the_buyers(shop):
    variant = shop.find_variant()
    shop.add_to_cart(variant["id"], 2)
    token = shop.cart_token
    assert token
    shop.register()
    merged = expect(shop.post("/cart/merge", headers={"X-Cart-Token": token}), 200)
    assert [(line["variant_id"], line["quantity"]) for line in merged["lines"]] == [(variant["id"], 2)]
    assert expect(shop.post("/cart/merge", headers={"X-Cart-Token": token}), 200)["lines"] == merged["lines"]


def test_one_key_makes_one_order(buyer):
    buyer.add_to_cart(buyer.find_variant()["id"])
    body, key = buyer.order_body(), uuid4().hex
    first = buyer.place_order(body, key=key)
    again = buyer.post("/orders", body, headers={"Idempotency-Key": key})
    assert expect(again, 201) == first
    assert again.headers["Idempotent-Replayed"] == "true"
    other = buyer.post("/orders", {**body, "payment_provider": "sandbox"}, headers={"Idempotency-Key": key})
    assert expect(other, 422)["code"] == "idempotency_key_reused"
    assert len(expect(buyer.get("/orders"), 200)["results"]) == 1


def test_one_key_five_times_at_once_makes_one_order(buyer):
    buyer.add_to_cart(buyer.find_variant()["id"])
    body, headers = buyer.order_body(), {"Idempotency-Key": uuid4().hex}
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: buyer.post("/orders", body, headers=headers), range(5)))
    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    refused = {answer.json()["code"] for answer in answers if answer.status_code != 201}
    assert len(made) == 1
    assert refused <= {"idempotency_in_progress"}
    final = expect(buyer.post("/orders", body, headers=headers), 201)
    assert {final["id"]} == made
    assert [order["id"] for order in expect(buyer.get("/orders"), 200)["results"]] == [final["id"]]


def test_an_order_needs_a_key(buyer):
    assert expect(buyer.post("/orders", {}), 400)["code"] == "idempotency_key_required"


def test_a_cart_that_changed_or_costs_more_is_not_ordered(buyer):
    cart = buyer.add_to_cart(buyer.find_variant()["id"])
    body, key = buyer.order_body(), uuid4().hex
    stale = {**body, "cart_version": cart["version"] + 1}
    assert (
        expect(buyer.post("/orders", stale, headers={"Idempotency-Key": key}), 409)["code"] == "cart_changed"
    )
    cheap = {**body, "expected_total": {"amount": 1, "currency": "USD"}}
    assert (
        expect(buyer.post("/orders", cheap, headers={"Idempotency-Key": key}), 409)["code"] == "price_changed"
    )
    assert expect(buyer.get("/orders"), 200)["results"] == []
    assert buyer.place_order(body, key=key)["status"] == "awaiting_payment"


def test_more_than_there_is_cannot_be_bought(storefront, admin):
    first, second = storefront(), storefront()
    first.register()
    second.register()
    variant = first.find_variant(at_least=3)
    left = variant["available"]
    shrink = {"delta": 2 - left, "reason": "end-to-end test"}
    assert expect(admin.post(f"/catalog/variants/{variant['id']}/stock", shrink), 200)["available"] == 2
    try:
        for client in (first, second):
            client.add_to_cart(variant["id"], 2)
        order = first.place_order()
        short = second.post("/orders", second.order_body(), headers={"Idempotency-Key": uuid4().hex})
        assert expect(short, 409)["code"] == "out_of_stock"
        assert short.json()["lines"] == [{"variant_id": variant["id"], "requested": 2, "available": 0}]
        assert expect(second.get("/orders"), 200)["results"] == []
        cancelled = expect(first.post(f"/orders/{order['id']}/cancel"), 200)
        assert cancelled["status"] == "cancelled"
        eventually(lambda: available(second, variant), lambda count: count == 2)
        second.place_order()
    finally:
        admin.post(f"/catalog/variants/{variant['id']}/stock", {"delta": left, "reason": "end-to-end test"})


def test_a_paid_order_that_is_cancelled_gives_money_and_stock_back(buyer):
    variant = buyer.find_variant(at_least=5)
    order = buyer.buy(variant["id"], 2)
    assert expect(buyer.post(f"/orders/{order['id']}/cancel"), 200)["status"] == "cancelled"
    payment = eventually(
        lambda: expect(buyer.get(f"/payments/{order['payment']['id']}"), 200),
        lambda payment: payment["refunded"] == order["total"],
    )
    assert payment["status"] == "succeeded"
    eventually(lambda: buyer.order(order["id"])["payment_status"], lambda status: status == "refunded")
    eventually(lambda: available(buyer, variant), lambda count: count == variant["available"])


def test_a_return_that_is_rejected_tells_the_buyer_why_and_keeps_the_money(shop, admin):
    email = shop.register()
    order = shop.buy(shop.find_variant()["id"], 2)
    expect(admin.post(f"/orders/{order['id']}/ship", {"carrier": "DHL", "tracking_number": "JD1"}), 200)
    expect(admin.post(f"/orders/{order['id']}/deliver"), 200)
    lines = [{"variant_id": line["variant_id"], "quantity": line["quantity"]} for line in order["lines"]]
    asked = {"lines": lines, "reason": "I do not like it"}
    first = expect(shop.post(f"/orders/{order['id']}/returns", asked), 201)
    rejection = {"reason": "It has been worn."}
    assert shop.post(f"/orders/returns/{first['id']}/reject", rejection).status_code == 403
    expect(admin.post(f"/orders/returns/{first['id']}/reject", rejection), 200)
    again = admin.post(f"/orders/returns/{first['id']}/approve")
    assert expect(again, 409)["code"] == "return_not_approvable"
    [seen] = expect(shop.get(f"/orders/{order['id']}/returns"), 200)["results"]
    assert (seen["status"], seen["rejection_reason"]) == ("rejected", "It has been worn.")
    assert shop.order(order["id"])["history"][-1]["reason"] == "return_rejected"
    assert shop.order(order["id"])["payment_status"] == "paid"
    mails = eventually(
        lambda: shop.mails_to(email), lambda found: any("return" in mail["subject"] for mail in found)
    )
    assert len([mail for mail in mails if "return" in mail["subject"]]) == 1
    expect(shop.post(f"/orders/{order['id']}/returns", asked), 201)


def test_a_card_that_asks_for_3d_secure_goes_there_and_comes_back(buyer, stack_env):
    buyer.add_to_cart(buyer.find_variant()["id"])
    order = buyer.place_order()
    return_url = f"{stack_env['STOREFRONT_URL']}/checkout/return"
    payment = expect(buyer.confirm(order, "pm_card_authenticationRequired", return_url=return_url), 200)
    assert payment["status"] == "requires_action"
    page = buyer.http.get(urlsplit(payment["action"]["url"]).path)
    assert (page.status_code, "text/html" in page.headers["Content-Type"]) == (200, True)
    answer = buyer.http.post(urlsplit(payment["action"]["url"]).path, data={"outcome": "authorise"})
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(return_url)
    buyer.wait_for_order(order["id"], "confirmed")


def test_a_delayed_payment_confirms_the_order_when_its_webhook_comes(buyer):
    buyer.add_to_cart(buyer.find_variant()["id"])
    order = buyer.place_order()
    assert expect(buyer.confirm(order, "pm_card_delayed"), 200)["status"] == "processing"
    order = buyer.wait_for_order(order["id"], "confirmed", seconds=30)
    assert order["payment_status"] == "paid"


def test_an_expected_return_address_is_needed_for_3d_secure(buyer):
    buyer.add_to_cart(buyer.find_variant()["id"])
    order = buyer.place_order()
    answer = buyer.confirm(order, "pm_card_authenticationRequired", return_url="https://evil.example/steal")
    assert answer.status_code == 422


def test_only_addresses_that_the_shop_serves_are_taken(buyer):
    buyer.add_to_cart(buyer.find_variant()["id"])
    body = {**buyer.order_body(), "shipping_address": {**ADDRESS, "country": "AQ"}}
    answer = buyer.post("/orders", body, headers={"Idempotency-Key": uuid4().hex})
    assert expect(answer, 422)["code"] == "address_not_served"


def test_an_empty_cart_cannot_be_ordered(buyer):
    answer = buyer.post("/orders", buyer.order_body(), headers={"Idempotency-Key": uuid4().hex})
    assert expect(answer, 422)["code"] == "empty_cart"


@pytest.mark.parametrize("path", ["/orders/{order}", "/payments/{payment}"])
def test_what_belongs_to_another_is_not_found(storefront, path):
    owner, stranger = storefront(), storefront()
    owner.register()
    stranger.register()
    owner.add_to_cart(owner.find_variant()["id"])
    order = owner.place_order()
    target = path.format(order=order["id"], payment=order["payment"]["id"])
    assert owner.get(target).status_code == 200
    assert stranger.get(target).status_code == 404
    assert stranger.post(f"/orders/{order['id']}/cancel").status_code == 404
    assert stranger.confirm(order).status_code == 404
