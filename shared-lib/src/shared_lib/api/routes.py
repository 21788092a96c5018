"""What a service answers, as its URL patterns have it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

#: Asked by platforms, not by clients.
OF_THE_PLATFORM = ("healthz", "readyz", "metrics")
_METHODS = ("get", "post", "put", "patch", "delete")


def routes(patterns: Any = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every path from the root, its parameters in braces (`api/v1/orders/{order_id}`), and what answers it: a view class,
    or a function. `patterns`: default all of the service.
    """
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            view = getattr(pattern.callback, "view_class", pattern.callback)
            yield re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path), view


def methods(view: Any) -> list[str]:
    """The methods that a view class has, in capitals; `*` for a function, which may take any."""
    return [name.upper() for name in _METHODS if hasattr(view, name)] if isinstance(view, type) else ["*"]


def public_operations() -> list[dict[str, str]]:
    """Methods and paths that the gateway may pass on: `[{"method": "GET", "path": "/api/v1/cart"}]`, sorted by path."""
    return [
        {"method": method, "path": f"/{path}"}
        for path, view in sorted(routes(), key=lambda route: route[0])
        if not path.startswith("internal/") and path not in OF_THE_PLATFORM
        for method in methods(view)
    ]
