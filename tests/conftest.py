"""Fixtures of the tests that cross services. They run against a whole stack that is already up.

`make test` starts one for them and says in the environment where it is: SHOP_BASE_URL, SHOP_ENV_FILE, SHOP_STATE_DIR,
DEMO_PASSWORD; for containers also SHOP_DOORS_FILE, where other ports stand than the shop itself knows.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from storefront import Storefront

_addresses = itertools.count(1)


@pytest.fixture(scope="session")
def base_url() -> str:
    return os.environ["SHOP_BASE_URL"]


@pytest.fixture(scope="session")
def stack_env() -> dict[str, str]:
    """The stack's `.env`: ports and secrets by name."""
    path = os.environ.get("SHOP_DOORS_FILE") or os.environ["SHOP_ENV_FILE"]
    lines = Path(path).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


@pytest.fixture
def storefront(base_url: str) -> Iterator[Callable[[], Storefront]]:
    """`storefront()`: a new client with an address of its own, so that tests do not share limits."""
    opened: list[Storefront] = []

    def make() -> Storefront:
        number = next(_addresses)
        opened.append(Storefront(base_url, address=f"198.18.{os.getpid() % 256}.{number % 256}"))
        return opened[-1]

    yield make
    for client in opened:
        client.http.close()


@pytest.fixture
def shop(storefront: Callable[[], Storefront]) -> Storefront:
    """A guest."""
    return storefront()


@pytest.fixture
def buyer(shop: Storefront) -> Storefront:
    """A new account, signed in."""
    shop.register()
    return shop


@pytest.fixture(scope="session")
def signed_in(base_url: str) -> Callable[[Storefront, str], Storefront]:
    """`signed_in(client, "admin")`: with the tokens of that demo login.

    It signs in anew only when half of the ten minutes that a token lives are over, since sign-ins are limited.
    """
    tokens: dict[str, tuple[float, str, str]] = {}

    def sign_in(client: Storefront, name: str) -> Storefront:
        if name not in tokens or time.monotonic() - tokens[name][0] > 300:
            client.login(f"{name}@example.com", os.environ["DEMO_PASSWORD"])
            tokens[name] = time.monotonic(), client.access, client.refresh
        _, client.access, client.refresh = tokens[name]
        return client

    return sign_in


@pytest.fixture
def seller(
    storefront: Callable[[], Storefront], signed_in: Callable[[Storefront, str], Storefront]
) -> Storefront:
    return signed_in(storefront(), "seller")


@pytest.fixture
def admin(
    storefront: Callable[[], Storefront], signed_in: Callable[[Storefront, str], Storefront]
) -> Storefront:
    return signed_in(storefront(), "admin")
