"""The seeded shop as a guest sees it."""

from __future__ import annotations

import io
import time
from urllib.parse import urlsplit

from PIL import Image
from storefront import eventually, expect


def test_the_seed_is_there_and_can_be_walked(shop):
    assert expect(shop.get("/catalog/categories"), 200)["results"]
    seen: list[str] = []
    page = expect(shop.get("/catalog/products?page_size=20"), 200)
    while True:
        seen += [product["id"] for product in page["results"]]
        if page["next"] is None:
            break
        next_url = urlsplit(page["next"])
        page = expect(shop.get(f"{next_url.path}?{next_url.query}"), 200)
    assert len(seen) == len(set(seen)) >= 50


def test_pictures_and_thumbnails_are_served(shop):
    product = expect(shop.get("/catalog/products?page_size=1"), 200)["results"][0]
    detail = expect(shop.get(f"/catalog/products/{product['id']}"), 200)
    assert detail["images"]
    for url in (product["thumbnail"], detail["images"][0]["url"], detail["images"][0]["thumbnail"]):
        answer = shop.get(urlsplit(url).path)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("image/")
        Image.open(io.BytesIO(answer.content)).verify()


def test_an_unchanged_product_costs_a_304(shop):
    product = expect(shop.get("/catalog/products?page_size=1"), 200)["results"][0]
    first = shop.get(f"/catalog/products/{product['slug']}")
    again = shop.get(f"/catalog/products/{product['slug']}", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["Cache-Control"].startswith("public, max-age=0, s-maxage=")


def test_wrong_filters_are_named(shop):
    answer = shop.get("/catalog/products?min_price=cheap")
    assert expect(answer, 422)["errors"][0]["field"] == "min_price"


def test_health_says_a_line_for_each_service(shop):
    answer = shop.http.get("/readyz")
    assert answer.status_code == 200
    assert answer.text.count("svc-") >= 6


def test_the_gateway_keeps_a_product_and_knows_within_a_second_that_its_stock_changed(shop, admin):
    variant = shop.find_variant()
    path = f"/catalog/products/{variant['product']['id']}"

    def seen():
        answer = shop.get(path)
        product = expect(answer, 200)
        count = next(each["available"] for each in product["variants"] if each["id"] == variant["id"])
        return count, answer.headers["X-Cache"]

    eventually(seen, lambda found: found == (variant["available"], "HIT"))
    expect(admin.post(f"/catalog/variants/{variant['id']}/stock", {"delta": 1, "reason": "found one"}), 200)
    began = time.monotonic()
    eventually(seen, lambda found: found[0] == variant["available"] + 1)
    took = time.monotonic() - began
    expect(admin.post(f"/catalog/variants/{variant['id']}/stock", {"delta": -1, "reason": "lost it"}), 200)
    assert took < 2, "a second, and what the test itself takes on a busy machine"
