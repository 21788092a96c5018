"""Every path of the public contract reaches its service, and nothing else does."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.services import Services


def test_a_public_path_needs_no_token(client: httpx.Client, services: Services) -> None:
    assert client.get("/api/v1/catalog/products?q=cup&page_size=5").status_code == 200
    assert services.last.service == "svc-catalog"
    assert services.last.target == "/api/v1/catalog/products?q=cup&page_size=5"


def test_a_required_path_takes_a_good_token(client: httpx.Client, services: Services, bearer: Any) -> None:
    good = bearer()
    assert client.get("/api/v1/orders", headers=good).status_code == 200
    assert services.last.service == "svc-orders"
    assert services.last.header("authorization") == good["Authorization"]
