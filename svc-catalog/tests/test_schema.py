"""The API description: complete, without warnings, and true."""

from __future__ import annotations

from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from django.core.management import call_command

from tests.factories import make_product

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def schema() -> Any:
    from drf_spectacular.generators import SchemaGenerator

    return SchemaGenerator().get_schema(request=None, public=True)


def test_the_description_has_no_warnings(tmp_path: Any) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "openapi.yaml"))


def test_every_public_path_is_described(schema: Any) -> None:
    operations = {
        (method, path): each["operationId"]
        for path, item in schema["paths"].items()
        for method, each in item.items()
    }

    assert operations == {
        ("get", "/api/v1/catalog/categories"): "catalog_categories_list",
        ("get", "/api/v1/catalog/products"): "catalog_products_list",
        ("get", "/api/v1/catalog/products/{key}"): "catalog_products_retrieve",
        ("post", "/api/v1/catalog/variants/{variant_id}/stock"): "catalog_variants_stock_create",
    }


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/api/v1/catalog/categories", "/api/v1/catalog/categories"),
        ("/api/v1/catalog/products", "/api/v1/catalog/products"),
        ("/api/v1/catalog/products/lamp", "/api/v1/catalog/products/{key}"),
    ],
)
def test_answers_are_as_described(api: Any, schema: Any, path: Any, template: Any) -> None:
    make_product(slug="lamp", variants=[{"color": "Red"}])

    answer = api.anonymous().get(path)

    described = schema["paths"][template]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.validate(answer.json(), {**described, "components": schema["components"]})


def test_public_reads_need_no_token_and_changes_do(schema: Any) -> None:
    assert schema["paths"]["/api/v1/catalog/products"]["get"].get("security", []) in ([], [{}])
    assert schema["paths"]["/api/v1/catalog/variants/{variant_id}/stock"]["post"]["security"] == [
        {"accessToken": []}
    ]
