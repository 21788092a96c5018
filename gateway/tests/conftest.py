"""One real Nginx with the real route table and limits, one real Redis, and small services that record what reaches them.

Each test speaks from an address of its own (X-Forwarded-For, which counts because the loopback is a trusted proxy here), so
that the limits of one never touch another.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import http
from tests.support.gateway import Gateway
from tests.support.redis_server import RedisServer
from tests.support.services import Services
from tests.support.tokens import Key, KeySet, access_token

_addresses = (f"100.64.{high}.{low}" for high in itertools.count() for low in range(1, 255))


@pytest.fixture
def address() -> str:
    """An address that nobody has used before."""
    return next(_addresses)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("gateway")
    (made / "media" / "products").mkdir(parents=True)
    (made / "media" / "products" / "cup.png").write_bytes(b"\x89PNG picture")
    (made / "media" / "page.html").write_text("<script>alert(1)</script>")
    (made / "docs" / "docs").mkdir(parents=True)
    (made / "docs" / "docs" / "index.html").write_text("<h1>Docs</h1>")
    (made / "docs" / "openapi.json").write_text('{"openapi": "3.1.0"}')
    return made


@pytest.fixture(scope="session")
def key_set() -> KeySet:
    return KeySet()


@pytest.fixture(scope="session")
def _services(key_set: KeySet) -> Iterator[Services]:
    services = Services()
    services["svc-accounts"].jwks = key_set.document
    services.start()
    yield services
    services.stop()


@pytest.fixture
def services(_services: Services) -> Services:
    """The six services; nothing has reached them yet."""
    _services.reset()
    return _services


@pytest.fixture(scope="session")
def redis_server(folder: Path) -> Iterator[RedisServer]:
    server = RedisServer(folder / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def environment(folder: Path, _services: Services, redis_server: RedisServer) -> dict[str, str]:
    """What every gateway of these tests is told."""
    return {
        **_services.environment(),
        **redis_server.environment(),
        "MEDIA_ROOT": str(folder / "media"),
        "DOCS_ROOT": str(folder / "docs"),
        "CORS_ORIGINS": "https://shop.example.com",
        "GATEWAY_TIME_NORMAL": "1",
        "GATEWAY_TIME_LONG": "3",
        "GATEWAY_RETRY_SECONDS": "0",
        "SANDBOX_URL": _services["svc-payments"].url,
        "MAIL_WEB_URL": _services["svc-notifications"].url,
    }


@pytest.fixture(scope="session")
def gateway(folder: Path, environment: dict[str, str]) -> Iterator[Gateway]:
    started = Gateway(folder / "main", environment).start()
    started.wait_until_keys_are_read()
    yield started
    started.stop()


@pytest.fixture
def client(gateway: Gateway, services: Services, address: str) -> Iterator[httpx.Client]:
    with http.session(base_url=gateway.url, headers={"X-Forwarded-For": address}) as made:
        yield made


@pytest.fixture
def key(key_set: KeySet) -> Key:
    return key_set.keys[0]


@pytest.fixture
def bearer(key: Key) -> Any:
    """`bearer(roles=["staff"])`: the Authorization header of a good token, with changed claims."""
    return lambda **changes: {"Authorization": f"Bearer {access_token(key, **changes)}"}
