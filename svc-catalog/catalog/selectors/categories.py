"""The tree of categories."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.db import connection

_CATEGORIES = """
    SELECT id::text, parent_id::text, slug, name, product_count FROM catalog_category ORDER BY position, name
"""


def category_tree() -> list[dict[str, Any]]:
    """The roots, each `{id, slug, name, children, product_count}`; the count is that of the whole subtree."""
    children: dict[str | None, list[dict[str, Any]]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_CATEGORIES)
        rows = cursor.fetchall()
    for pk, parent_id, slug, name, count in rows:
        children[parent_id].append(
            {"id": pk, "slug": slug, "name": name, "children": [], "product_count": count}
        )

    def grow(node: dict[str, Any]) -> dict[str, Any]:
        node["children"] = [grow(child) for child in children[node["id"]]]
        node["product_count"] += sum(child["product_count"] for child in node["children"])
        return node

    return [grow(root) for root in children[None]]
