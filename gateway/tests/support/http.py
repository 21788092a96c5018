"""HTTP for the tests. Every httpx client that makes its own TLS context costs more than most tests."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

TLS = ssl.create_default_context()


def session(**options: Any) -> httpx.Client:
    """A client with a connection pool of its own."""
    return httpx.Client(verify=TLS, timeout=10, **options)


def get(url: str, **options: Any) -> httpx.Response:
    """One request on a connection of its own."""
    with session() as client:
        return client.get(url, **options)


def post(url: str, **options: Any) -> httpx.Response:
    with session() as client:
        return client.post(url, **options)
