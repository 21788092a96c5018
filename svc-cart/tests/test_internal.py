"""What svc-orders calls."""

from __future__ import annotations

from typing import Any

import pytest

from shared_lib.models import uuid7
from tests.factories import CartFactory, LineFactory

pytestmark = pytest.mark.django_db


def test_a_snapshot_names_version_and_lines_and_takes_one_query(
    internal: Any, django_assert_num_queries: Any
) -> None:
    cart = CartFactory.create(version=7)
    lines = LineFactory.create_batch(3, cart=cart, quantity=2)
    with django_assert_num_queries(1):
        response = internal("svc-orders").get(f"/internal/v1/carts/{cart.user_id}")
    assert response.status_code == 200
    assert response.json() == {
        "cart_id": str(cart.pk),
        "user_id": str(cart.user_id),
        "version": 7,
        "lines": [
            {"line_id": str(line.pk), "variant_id": str(line.variant_id), "quantity": 2} for line in lines
        ],
        "coupons": [],
    }


def test_a_user_without_a_cart_has_an_empty_one_of_version_0(internal: Any) -> None:
    user_id = uuid7()
    assert internal("svc-orders").get(f"/internal/v1/carts/{user_id}").json() == {
        "cart_id": "00000000-0000-0000-0000-000000000000",
        "user_id": str(user_id),
        "version": 0,
        "lines": [],
        "coupons": [],
    }


def test_only_svc_orders_may_read_carts(internal: Any, user: Any, guest: Any) -> None:
    path = f"/internal/v1/carts/{user.user_id}"
    assert internal("svc-catalog").get(path).status_code == 403
    assert user.get(path).status_code == 401
    assert guest.get(path).status_code == 401


def test_contents_are_the_cart_as_a_mail_shows_it(internal: Any, django_assert_num_queries: Any) -> None:
    cart = CartFactory.create(version=7)
    line = LineFactory.create(cart=cart, quantity=2)
    variant = line.variant
    with django_assert_num_queries(1):
        response = internal("svc-notifications").get(f"/internal/v1/carts/{cart.user_id}/contents")
    cost = {"amount": 2 * variant.price_amount, "currency": "USD"}
    assert response.status_code == 200
    assert response.json() == {
        "version": 7,
        "lines": [
            {
                "name": variant.product.name,
                "quantity": 2,
                "line_total": cost,
                "available": variant.stock.available,
            }
        ],
        "subtotal": cost,
    }


def test_contents_are_for_svc_notifications_alone(internal: Any, user: Any) -> None:
    path = f"/internal/v1/carts/{user.user_id}/contents"
    assert internal("svc-notifications").get(path).json() == {
        "version": 0,
        "lines": [],
        "subtotal": {"amount": 0, "currency": "USD"},
    }
    assert internal("svc-orders").get(path).status_code == 403
    assert internal("svc-notifications").get(f"/internal/v1/carts/{user.user_id}").status_code == 403
