from __future__ import annotations

from typing import Any

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator


@pytest.fixture(scope="module")
def schema() -> Any:
    GENERATOR_STATS.reset()
    return SchemaGenerator().get_schema(request=None, public=True)


def test_the_description_is_made_without_a_warning(schema: Any) -> None:
    assert schema["paths"]
    assert not GENERATOR_STATS


def test_every_operation_has_its_name(schema: Any) -> None:
    operations = {
        operation["operationId"] for path in schema["paths"].values() for operation in path.values()
    }
    assert operations == {
        "cart_retrieve",
        "cart_destroy",
        "cart_lines_create",
        "cart_lines_partial_update",
        "cart_lines_destroy",
        "cart_merge",
        "cart_coupons_create",
        "cart_coupons_destroy",
        "cart_admin_coupons_list",
        "cart_admin_coupons_create",
        "cart_admin_coupons_retrieve",
        "cart_admin_coupons_partial_update",
        "cart_admin_coupons_stop",
        "cart_wishlist_list",
        "cart_wishlist_create",
        "cart_wishlist_destroy",
        "cart_wishlist_move",
    }


def test_internal_paths_are_not_described(schema: Any) -> None:
    assert all(path.startswith("/api/v1/cart") for path in schema["paths"])
