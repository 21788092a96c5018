"""Secrets and key pairs of a shop in containers are replaced while it is used: nobody is refused, and no old value counts any more.

deploy/shop end-to-end "" containers/test_rotation.py
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import httpx
import jwt
import psycopg
import pytest

from containers.usage import Load, shop

pytestmark = pytest.mark.timeout(1800)
STATE = Path(os.environ.get("SHOP_STATE_DIR", "."))


def mounted() -> dict[str, str]:
    """What containers have as files, by name."""
    return {path.name: path.read_text() for path in (STATE / "docker" / "secrets").iterdir()}


def door(url: str, stack_env: dict[str, str]) -> str:
    """A database's address as this machine reaches it."""
    head, _, database = url.partition("@postgres-cart:5432/")
    return f"{head}@127.0.0.1:{stack_env['SVC_CART_POSTGRES_PORT']}/{database}"


def called_with(key: str, stack_env: dict[str, str]) -> int:
    """What svc-payments answers to svc-orders' question for a payment that is not there."""
    now = int(time.time())
    claims = {"iss": "svc-orders", "aud": "svc-payments", "iat": now, "exp": now + 60}
    token = jwt.encode(claims, key, "ES256", headers={"typ": "svc+jwt"})
    path = "/internal/v1/payments/0199a0c0-0000-7000-8000-000000000001"
    url = f"http://127.0.0.1:{stack_env['SVC_PAYMENTS_PORT']}{path}"
    return httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30).status_code


def test_a_service_gets_other_secrets_and_a_pair_is_replaced(
    base_url: str, stack_env: dict[str, str]
) -> None:
    old = mounted()
    names = [
        "SVC_CART_DATABASE_PASSWORD",
        "SVC_CART_RABBITMQ_PASSWORD",
        "SVC_CART_REDIS_PASSWORD",
        "svc-orders.pem",
    ]
    with Load(base_url) as load:
        done = shop("rotate", SECRET=",".join(names))
    assert done.returncode == 0, done.stdout + done.stderr
    load.unharmed()
    new = mounted()
    for name in ("cart-database-url", "cart-events-broker-url", "cart-redis-url", "orders-private-key"):
        assert new[name] != old[name], name
    psycopg.connect(door(new["cart-database-url"], stack_env), connect_timeout=10).close()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(door(old["cart-database-url"], stack_env), connect_timeout=10)
    assert called_with(new["orders-private-key"], stack_env) == 404
    assert called_with(old["orders-private-key"], stack_env) == 401


def test_every_secret_is_replaced(base_url: str) -> None:
    old = mounted()
    with Load(base_url, steady=False) as load:
        done = shop("rotate", SECRET="all", NOW="1")
    assert done.returncode == 0, done.stdout + done.stderr
    load.unharmed()
    new = mounted()
    same = {name for name in old if new[name] == old[name]}
    assert same == {"demo-password", "accounts-secret-key-fallbacks"}
    up = shop("up")
    assert "Everything was up already" in up.stdout, up.stdout + up.stderr
