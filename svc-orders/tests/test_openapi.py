from __future__ import annotations

from typing import Any

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The description as it is served, made without a warning."""
    GENERATOR_STATS.reset()
    document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    assert not GENERATOR_STATS
    return document


def test_the_description_is_valid_openapi(schema: dict[str, Any]):
    validate_schema(schema)


def test_every_operation_has_its_name(schema: dict[str, Any]):
    names = {operation["operationId"] for path in schema["paths"].values() for operation in path.values()}

    assert names == {
        "orders_list",
        "orders_create",
        "orders_retrieve",
        "orders_quote",
        "orders_cancel",
        "orders_payments_create",
        "orders_shipping_methods_list",
        "orders_ship",
        "orders_deliver",
        "orders_admin_list",
        "orders_admin_retrieve",
        "orders_refund",
        "orders_invoice",
        "orders_credit_note",
        "orders_returns_list",
        "orders_returns_create",
        "orders_returns_approve",
        "orders_returns_receive",
        "orders_returns_reject",
    }


def test_every_refusal_is_a_problem_document(schema: dict[str, Any]):
    for path in schema["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    assert list(response["content"]) == ["application/problem+json"], operation["operationId"]
