from __future__ import annotations

from typing import Any

import pytest

from cart.models import WishlistItem
from shared_lib.models import uuid7
from tests.factories import VariantFactory

pytestmark = pytest.mark.django_db

WISHLIST = "/api/v1/cart/wishlist"


def wish(client: Any, variant: Any, **headers: str) -> Any:
    return client.post(WISHLIST, {"variant_id": str(variant.pk)}, headers=headers)


def test_a_wish_is_saved_once(user: Any, variant: Any) -> None:
    first, again = wish(user, variant), wish(user, variant)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    body = first.json()
    assert body.pop("created_at").endswith("Z")
    assert body == {
        "id": str(WishlistItem.objects.get().pk),
        "variant_id": str(variant.pk),
        "product": {
            "id": str(variant.product.pk),
            "slug": variant.product.slug,
            "name": variant.product.name,
            "thumbnail": "http://localhost:8080/media/lamp.webp",
        },
        "unit_price": {"amount": 1999, "currency": "USD"},
        "available": 50,
    }


@pytest.fixture(autouse=True)
def _public_base_url(settings: Any) -> None:
    settings.PUBLIC_BASE_URL = "http://localhost:8080"


def test_what_is_sold_out_may_be_wished_for(user: Any) -> None:
    assert wish(user, VariantFactory.create(stock__available=0)).json()["available"] == 0


def test_the_list_is_newest_first_in_pages_and_takes_one_query(
    user: Any, django_assert_num_queries: Any
) -> None:
    ids = [wish(user, VariantFactory.create()).json()["id"] for _ in range(5)]
    with django_assert_num_queries(1):
        page = user.get(WISHLIST, {"page_size": 3}).json()
    rest = user.get(page["next"]).json()
    assert [item["id"] for item in page["results"] + rest["results"]] == ids[::-1]
    assert rest["next"] is None


def test_a_wish_is_taken_off(user: Any, variant: Any) -> None:
    path = f"{WISHLIST}/{wish(user, variant).json()['id']}"
    assert user.delete(path).status_code == 204
    gone = user.delete(path)
    assert (gone.status_code, gone.json()["code"]) == (404, "wishlist_item_not_found")
    assert user.get(WISHLIST).json()["results"] == []


def test_wishes_of_others_do_not_exist(user: Any, api: Any, variant: Any) -> None:
    other = api.as_user()
    item = wish(other, variant).json()
    assert user.get(WISHLIST).json()["results"] == []
    assert user.delete(f"{WISHLIST}/{item['id']}").status_code == 404
    assert other.get(WISHLIST).json()["results"] == [item]


def test_what_is_not_sold_cannot_be_wished_for(user: Any, variant: Any) -> None:
    type(variant.product).objects.update(archived=True)
    assert wish(user, variant).json()["code"] == "variant_not_found"


def test_a_wish_list_has_an_end(user: Any, variant: Any) -> None:
    WishlistItem.objects.bulk_create(
        WishlistItem(user_id=user.user_id, variant=each) for each in VariantFactory.create_batch(200)
    )
    response = wish(user, variant)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (422, "max_items")


def test_a_wish_list_needs_a_user(guest: Any) -> None:
    assert guest.get(WISHLIST).status_code == 401
    assert guest.post(WISHLIST, {"variant_id": str(uuid7())}).status_code == 401


class TestMove:
    def move(self, client: Any, item_id: Any, **body: Any) -> Any:
        headers = body.pop("headers", {})
        return client.post(f"{WISHLIST}/{item_id}/move", body, headers=headers)

    def test_a_wish_goes_into_the_cart_and_off_the_list(self, user: Any, variant: Any) -> None:
        item = wish(user, variant).json()["id"]
        response = self.move(user, item, quantity=3)
        assert response.status_code == 200
        assert [(line["variant_id"], line["quantity"]) for line in response.json()["lines"]] == [
            (str(variant.pk), 3)
        ]
        assert user.get(WISHLIST).json()["results"] == []
        again = self.move(user, item)
        assert (again.status_code, again.json()["code"]) == (404, "wishlist_item_not_found")
        assert user.get("/api/v1/cart").json() == response.json()

    def test_it_adds_up_with_what_is_in_the_cart(self, user: Any, variant: Any) -> None:
        user.post("/api/v1/cart/lines", {"variant_id": str(variant.pk), "quantity": 2})
        assert self.move(user, wish(user, variant).json()["id"]).json()["lines"][0]["quantity"] == 3

    def test_what_the_cart_cannot_take_stays_on_the_list(self, user: Any) -> None:
        sold_out, gone = VariantFactory.create(stock__available=0), VariantFactory.create()
        items = [wish(user, variant).json()["id"] for variant in (sold_out, gone)]
        type(gone).objects.filter(pk=gone.pk).update(sold=False)
        refused = [self.move(user, item) for item in items]
        assert [(each.status_code, each.json()["code"]) for each in refused] == [
            (409, "insufficient_stock"),
            (404, "variant_not_found"),
        ]
        stale = self.move(user, items[0], headers={"If-Match": '"other"'})
        assert stale.status_code == 412
        assert self.move(user, items[0], quantity=0).status_code == 422
        assert len(user.get(WISHLIST).json()["results"]) == 2
        assert user.get("/api/v1/cart").json()["lines"] == []

    def test_the_wish_of_another_cannot_be_moved(self, user: Any, api: Any, variant: Any, guest: Any) -> None:
        item = wish(api.as_user(), variant).json()["id"]
        assert self.move(user, item).status_code == 404
        assert self.move(guest, item).status_code == 401
        assert WishlistItem.objects.count() == 1
