"""An order with goods of two sellers, through the gateway: each sees and ships its own lines and nothing else."""

from __future__ import annotations

import pytest
from storefront import Json, Storefront, expect

PARCEL = {"carrier": "DHL", "tracking_number": "JD014600007"}


@pytest.fixture
def shared(buyer: Storefront, seller: Storefront) -> tuple[Json, str, str]:
    """A confirmed order of two lines, the variant that `seller` sells, and the one of somebody else."""
    me = expect(seller.get("/accounts/me"), 200)["id"]
    page = expect(buyer.get("/catalog/products?in_stock=true&page_size=100"), 200)["results"]
    variants = []
    for mine in (True, False):
        product = buyer.product(next(one["id"] for one in page if (one["seller"] == me) is mine))
        variant = next(each for each in product["variants"] if each["available"] >= 2)
        buyer.add_to_cart(variant["id"], 2)
        variants.append(variant["id"])
    order = buyer.place_order()
    assert seller.get(f"/orders/admin/{order['id']}").status_code == 404
    expect(buyer.confirm(order), 200)
    return buyer.wait_for_order(order["id"], "confirmed"), variants[0], variants[1]


def test_a_seller_sees_and_ships_its_own_lines(
    shared: tuple[Json, str, str], buyer: Storefront, seller: Storefront, admin: Storefront
) -> None:
    order, own, other = shared
    seen = expect(seller.get(f"/orders/admin/{order['id']}"), 200)
    assert [line["variant_id"] for line in seen["lines"]] == [own]
    assert not {"total", "payment", "user_id", "history", "refunds"} & set(seen)
    listed = expect(seller.get("/orders/admin", params={"number": order["number"]}), 200)
    assert (listed["count"], listed["results"][0]["id"]) == (1, order["id"])

    foreign = {**PARCEL, "lines": [{"variant_id": other, "quantity": 1}]}
    assert expect(seller.post(f"/orders/{order['id']}/ship", foreign), 409)["code"] == "lines_not_shippable"
    part = {**PARCEL, "lines": [{"variant_id": own, "quantity": 1}]}
    expect(seller.post(f"/orders/{order['id']}/ship", part), 200)
    assert buyer.order(order["id"])["fulfillment_status"] == "partial"
    expect(seller.post(f"/orders/{order['id']}/ship", PARCEL), 200)
    assert expect(seller.post(f"/orders/{order['id']}/ship", PARCEL), 409)["code"] == "order_not_shippable"
    assert buyer.order(order["id"])["status"] == "confirmed"
    for path, body in (("deliver", {}), ("refund", {})):
        assert seller.post(f"/orders/{order['id']}/{path}", body).status_code == 403

    expect(admin.post(f"/orders/{order['id']}/ship", PARCEL), 200)
    shown = buyer.order(order["id"])
    assert (shown["status"], shown["fulfillment_status"]) == ("shipped", "fulfilled")
    assert len(shown["shipments"]) == 3
    parcels = expect(seller.get(f"/orders/admin/{order['id']}"), 200)["shipments"]
    assert {line["variant_id"] for parcel in parcels for line in parcel["lines"]} == {own}


def test_a_lost_update_is_refused(
    shared: tuple[Json, str, str], buyer: Storefront, admin: Storefront
) -> None:
    order, _, _ = shared
    old = buyer.get(f"/orders/{order['id']}").headers["ETag"]
    expect(admin.post(f"/orders/{order['id']}/ship", PARCEL, headers={"If-Match": old}), 200)
    late = buyer.post(f"/orders/{order['id']}/cancel", headers={"If-Match": old})
    assert late.status_code == 412
    assert buyer.order(order["id"])["status"] == "shipped"
