"""svc-catalog is down: carts live from the read model, and only what was never seen is refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from shared_lib.models import uuid7
from tests.factories import CouponFactory, VariantFactory
from tests.messages import VARIANT_ID, product_published, stock_changed

pytestmark = pytest.mark.django_db

CART = "/api/v1/cart"


def refused(request: httpx.Request) -> None:
    raise httpx.ConnectError("connection refused", request=request)


def slow(request: httpx.Request) -> None:
    raise httpx.ReadTimeout("timed out", request=request)


def failing(_: httpx.Request) -> tuple[int, dict[str, Any]]:
    return 500, {"code": "internal_error"}


@pytest.fixture(params=[refused, slow, failing], ids=lambda way: way.__name__)
def down(request: Any, upstream: Any) -> Any:
    for method in ("GET", "POST", "DELETE"):
        upstream("svc-catalog", method, "/*", request.param)
    return upstream


def add(client: Any, variant_id: Any, **headers: Any) -> Any:
    return client.post(f"{CART}/lines", {"variant_id": str(variant_id), "quantity": 1}, headers=headers)


def test_everything_about_known_products_works_and_nobody_asks_the_catalog(
    down: Any, guest: Any, user: Any, internal: Any, deliver: Any
) -> None:
    deliver(product_published(), stock_changed())
    coupon = CouponFactory.create()
    other = VariantFactory.create()

    token = {"X-Cart-Token": add(guest, VARIANT_ID).headers["X-Cart-Token"]}
    assert add(guest, other.pk, **token).status_code == 201
    assert guest.post(f"{CART}/coupons", {"code": coupon.code}, headers=token).status_code == 200
    cart = user.post(f"{CART}/merge", headers=token).json()
    assert (len(cart["lines"]), len(cart["coupons"])) == (2, 1)
    line = f"{CART}/lines/{cart['lines'][0]['id']}"
    assert user.patch(line, {"quantity": 2}).status_code == 200
    wish = user.post(f"{CART}/wishlist", {"variant_id": VARIANT_ID}).json()
    assert user.post(f"{CART}/wishlist/{wish['id']}/move").status_code == 200
    assert user.get(CART).json()["lines"][0]["product"]["name"] == "Desk lamp"
    snapshot = internal("svc-orders").get(f"/internal/v1/carts/{user.user_id}").json()
    assert [each["quantity"] for each in snapshot["lines"]] == [3, 1]
    assert user.delete(line).status_code == 200
    assert user.delete(CART).status_code == 200
    assert down.calls == []


@pytest.mark.parametrize("path", ["lines", "wishlist"])
def test_a_variant_that_was_never_seen_is_a_clear_503_and_changes_nothing(
    down: Any, user: Any, variant: Any, path: str
) -> None:
    before = add(user, variant.pk).json()
    response = user.post(f"{CART}/{path}", {"variant_id": str(uuid7()), "quantity": 1})
    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "service_unavailable"
    assert int(response.headers["Retry-After"]) > 0
    assert user.get(CART).json() == before
