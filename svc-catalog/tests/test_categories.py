"""selectors.categories behind GET /catalog/categories."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.models import Category
from tests.factories import make_category

pytestmark = pytest.mark.django_db

URL = "/api/v1/catalog/categories"


def test_the_tree_counts_the_products_of_whole_subtrees(api: Any, django_assert_num_queries: Any) -> None:
    home = make_category("home", name="Home", position=2)
    lighting = make_category("lighting", name="Lighting", parent=home, product_count=2)
    lamps = make_category("lamps", name="Lamps", parent=lighting, product_count=3)
    books = make_category("books", name="Books", position=1, product_count=1)
    client = api.anonymous()

    with django_assert_num_queries(1):
        answer = client.get(URL)

    def node(category: Category, count: int, *children: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": str(category.pk),
            "slug": category.slug,
            "name": category.name,
            "children": list(children),
            "product_count": count,
        }

    assert answer.json() == {"results": [node(books, 1), node(home, 5, node(lighting, 5, node(lamps, 3)))]}


def test_a_shop_without_categories_has_an_empty_tree(api: Any) -> None:
    assert api.anonymous().get(URL).json() == {"results": []}
