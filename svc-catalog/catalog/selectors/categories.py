"""The tree of categories."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from uuid import UUID

from catalog.models import Category


def category_tree() -> list[dict[str, Any]]:
    """The roots, each `{id, slug, name, children, product_count}`; the count is that of the whole subtree."""
    children: dict[UUID | None, list[dict[str, Any]]] = defaultdict(list)
    rows = Category.objects.order_by("position", "name").values_list(
        "id", "parent_id", "slug", "name", "product_count"
    )
    for pk, parent_id, slug, name, count in rows:
        children[parent_id].append(
            {"id": pk, "slug": slug, "name": name, "children": [], "product_count": count}
        )

    def grow(node: dict[str, Any]) -> dict[str, Any]:
        node["children"] = [grow(child) for child in children[node["id"]]]
        node["product_count"] += sum(child["product_count"] for child in node["children"])
        return node

    return [grow(root) for root in children[None]]
