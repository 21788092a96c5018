"""When and how svc-catalog is asked."""

from __future__ import annotations

from io import StringIO
from typing import Any
from uuid import UUID

import httpx
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from cart.models import Product, Stock, Variant
from cart.selectors import find_offers
from tests.factories import ProductFactory, VariantFactory
from tests.messages import OTHER_VARIANT_ID, PRODUCT_ID, VARIANT_ID, product_published, product_updated

pytestmark = pytest.mark.django_db

LINES = "/api/v1/cart/lines"
VARIANTS = "/internal/v1/variants"
PRODUCTS = "/internal/v1/products"


def answer(**changes: Any) -> dict[str, Any]:
    return {
        "variant_id": VARIANT_ID,
        "product_id": PRODUCT_ID,
        "seller_id": "01938b8e-0000-7000-8000-0000000000e1",
        "sku": "LAMP-W",
        "name": "Desk lamp",
        "product_slug": "desk-lamp",
        "category": "lamps",
        "unit_price": {"amount": 2500, "currency": "USD"},
        "weight_grams": 900,
        "available": 7,
        "product_version": 3,
        "stock_version": 8,
        "thumbnail": "/media/desk-lamp.webp",
        **changes,
    }


def add(client: Any, quantity: int = 1) -> Any:
    return client.post(LINES, {"variant_id": VARIANT_ID, "quantity": quantity})


def test_an_unknown_variant_is_asked_for_once_and_then_known(user: Any, upstream: Any) -> None:
    upstream("svc-catalog", "GET", VARIANTS, lambda _: (200, {"results": [answer()]}))
    first = add(user)
    assert first.status_code == 201
    assert first.json()["lines"][0]["available"] == 7
    assert first.json()["lines"][0]["product"]["name"] == "Desk lamp"
    assert add(user).status_code == 201
    (call,) = upstream.calls
    assert call.params == {"ids": VARIANT_ID}


def test_a_variant_that_the_catalog_does_not_know_does_not_exist(user: Any, upstream: Any) -> None:
    upstream("svc-catalog", "GET", VARIANTS, lambda _: (200, {"results": []}))
    response = add(user)
    assert (response.status_code, response.json()["code"]) == (404, "variant_not_found")
    assert not Variant.objects.exists()


def test_a_known_variant_needs_no_catalog(user: Any, upstream: Any, variant: Any) -> None:
    response = user.post(LINES, {"variant_id": str(variant.pk), "quantity": 1})
    assert response.status_code == 201
    assert user.get("/api/v1/cart").json()["lines"][0]["variant_id"] == str(variant.pk)
    assert upstream.calls == []


def test_without_the_catalog_only_unknown_variants_are_refused(user: Any, upstream: Any) -> None:
    def gone(request: httpx.Request) -> None:
        raise httpx.ConnectError("refused", request=request)

    upstream("svc-catalog", "GET", VARIANTS, gone)
    response = add(user)
    assert (response.status_code, response.json()["code"]) == (503, "service_unavailable")
    assert int(response.headers["Retry-After"]) > 0
    assert user.get("/api/v1/cart").status_code == 200


def test_an_answer_about_one_variant_does_not_keep_the_event_out(
    user: Any, upstream: Any, deliver: Any
) -> None:
    upstream("svc-catalog", "GET", VARIANTS, lambda _: (200, {"results": [answer()]}))
    add(user)
    deliver(product_published(version=2), product_updated(version=3))
    assert Variant.objects.filter(pk=OTHER_VARIANT_ID).exists()


def test_an_answer_older_than_the_read_model_is_ignored(user: Any, upstream: Any, deliver: Any) -> None:
    deliver(product_updated(version=4, variants=[]))
    upstream("svc-catalog", "GET", VARIANTS, lambda _: (200, {"results": [answer()]}))
    assert add(user).json()["code"] == "variant_not_found"
    assert Product.objects.get().version == 4


def test_a_product_whose_stock_is_not_known_yet_is_asked_for(user: Any, upstream: Any, deliver: Any) -> None:
    deliver(product_published())
    upstream("svc-catalog", "GET", VARIANTS, lambda _: (200, {"results": [answer(product_version=1)]}))
    assert add(user, 7).status_code == 201
    assert Stock.objects.get().version == 8


def snapshot(**changes: Any) -> dict[str, Any]:
    return {
        "product_id": PRODUCT_ID,
        "version": 3,
        "seller_id": "01938b8e-0000-7000-8000-0000000000e1",
        "slug": "desk-lamp",
        "name": "Desk lamp",
        "category": "lamps",
        "variants": [
            {
                "variant_id": VARIANT_ID,
                "sku": "LAMP-W",
                "price": {"amount": 2500, "currency": "USD"},
                "available": 7,
                "stock_version": 8,
            }
        ],
        **changes,
    }


def rebuild() -> str:
    out = StringIO()
    call_command("rebuild", "products", stdout=out)
    return out.getvalue()


class TestRebuild:
    def test_all_pages_are_read(self, upstream: Any) -> None:
        second = snapshot(product_id="01938b8e-0000-7000-8000-0000000000a2", variants=[])
        pages = {None: {"results": [snapshot()], "next": "c2"}, "c2": {"results": [second], "next": None}}
        upstream(
            "svc-catalog", "GET", PRODUCTS, lambda request: (200, pages[request.url.params.get("cursor")])
        )
        assert rebuild() == "products: 2 read.\n"
        assert Product.objects.count() == 2
        assert find_offers(variant_ids=[UUID(VARIANT_ID)])[UUID(VARIANT_ID)].available == 7

    def test_what_is_newer_stays_and_what_is_gone_is_archived(self, upstream: Any, deliver: Any) -> None:
        deliver(product_updated(version=9, name="Newer"))
        gone = VariantFactory.create(product=ProductFactory.create())
        upstream("svc-catalog", "GET", PRODUCTS, lambda _: (200, {"results": [snapshot()], "next": None}))
        rebuild()
        newer = Product.objects.get(pk=PRODUCT_ID)
        assert (newer.name, newer.archived) == ("Newer", False)
        assert Product.objects.get(pk=gone.product_id).archived

    def test_a_product_published_meanwhile_is_not_archived(self, upstream: Any) -> None:
        def page(_: httpx.Request) -> tuple[int, dict[str, Any]]:
            ProductFactory.create(id="01938b8e-0000-7000-8000-0000000000a9", updated_at=timezone.now())
            return 200, {"results": [], "next": None}

        upstream("svc-catalog", "GET", PRODUCTS, page)
        rebuild()
        assert not Product.objects.get().archived

    def test_twice_is_the_same_as_once(self, upstream: Any) -> None:
        upstream("svc-catalog", "GET", PRODUCTS, lambda _: (200, {"results": [snapshot()], "next": None}))
        rebuild()
        before = list(Variant.objects.values()), list(Stock.objects.values())
        rebuild()
        assert (list(Variant.objects.values()), list(Stock.objects.values())) == before

    def test_a_catalog_that_is_away_is_one_sentence_and_archives_nothing(self, upstream: Any) -> None:
        product = ProductFactory.create()
        upstream("svc-catalog", "GET", PRODUCTS, lambda _: (503, {"code": "service_unavailable"}))
        with pytest.raises(CommandError, match="run it again"):
            rebuild()
        product.refresh_from_db()
        assert not product.archived
