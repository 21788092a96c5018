"""An ended session stops at the edge within seconds, and Redis being away never brings one back."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from tests.support import http
from tests.support.gateway import Gateway
from tests.support.problems import assert_problem
from tests.support.redis_server import PASSWORD, USER, RedisServer
from tests.support.services import Services
from tests.support.tokens import Key, access_token

ORDERS = "/api/v1/orders"


@pytest.fixture
def deny_list(redis_server: RedisServer) -> Iterator[redis.Redis]:
    redis_server.start()
    with redis_server.client() as client:
        yield client
        redis_server.start()


def revoke(deny_list: redis.Redis, member: str, seconds: float = 600) -> None:
    """As svc-accounts does it."""
    deny_list.zadd("gateway:revoked", {member: time.time() + seconds})
    deny_list.incr("gateway:revoked:version")


def wait_until_refused(client: httpx.Client, headers: dict[str, str], seconds: float = 5.0) -> float:
    """How long it took; by then every worker must refuse."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if client.get(ORDERS, headers=headers).status_code == 401:
            taken = time.monotonic() - began
            for _ in range(10):
                answer = http.get(
                    f"{client.base_url}{ORDERS}", headers=headers | {"X-Forwarded-For": "100.65.0.1"}
                )
                assert assert_problem(answer, 401, "invalid_token")["reason"] == "revoked"
            return taken
        time.sleep(0.05)
    raise AssertionError("the token is still good")


def test_a_revoked_session_is_refused_within_five_seconds_and_others_go_on(
    client: httpx.Client, services: Services, deny_list: redis.Redis, key: Key
) -> None:
    user, session = str(uuid.uuid4()), str(uuid.uuid4())
    ended = {"Authorization": f"Bearer {access_token(key, sub=user, sid=session)}"}
    other_device = {"Authorization": f"Bearer {access_token(key, sub=user)}"}
    assert client.get(ORDERS, headers=ended).status_code == 200
    revoke(deny_list, f"sid:{session}")
    assert wait_until_refused(client, ended) < 5
    services.reset()
    assert client.get(ORDERS, headers=ended).status_code == 401
    assert services.seen == []
    assert client.get(ORDERS, headers=other_device).status_code == 200


def test_a_token_of_a_revoked_session_that_was_never_seen_is_refused_too(
    client: httpx.Client, deny_list: redis.Redis, key: Key
) -> None:
    session = str(uuid.uuid4())
    first = {"Authorization": f"Bearer {access_token(key, sid=session)}"}
    revoke(deny_list, f"sid:{session}")
    wait_until_refused(client, first)
    answer = client.get(ORDERS, headers={"Authorization": f"Bearer {access_token(key, sid=session)}"})
    assert assert_problem(answer, 401, "invalid_token")["reason"] == "revoked"


def test_a_revoked_user_loses_older_tokens_and_keeps_newer_ones(
    client: httpx.Client, deny_list: redis.Redis, key: Key
) -> None:
    user, now = str(uuid.uuid4()), int(time.time())
    old = {"Authorization": f"Bearer {access_token(key, sub=user, iat=now - 10)}"}
    new = {"Authorization": f"Bearer {access_token(key, sub=user, iat=now)}"}
    someone_else = {"Authorization": f"Bearer {access_token(key, iat=now - 10)}"}
    revoke(deny_list, f"sub:{user}:{now}")
    wait_until_refused(client, old)
    assert client.get(ORDERS, headers=new).status_code == 200
    assert client.get(ORDERS, headers=someone_else).status_code == 200


def test_the_later_of_two_revocations_of_a_user_counts(
    client: httpx.Client, deny_list: redis.Redis, key: Key
) -> None:
    user, now = str(uuid.uuid4()), int(time.time())
    between = {"Authorization": f"Bearer {access_token(key, sub=user, iat=now - 5)}"}
    revoke(deny_list, f"sub:{user}:{now}")
    revoke(deny_list, f"sub:{user}:{now - 60}")
    wait_until_refused(client, between)
    time.sleep(1.2)
    assert client.get(ORDERS, headers=between).status_code == 401


def test_an_ended_session_is_refused_on_optional_routes_and_ignored_on_public_ones(
    client: httpx.Client, deny_list: redis.Redis, key: Key
) -> None:
    session = str(uuid.uuid4())
    ended = {"Authorization": f"Bearer {access_token(key, sid=session)}"}
    revoke(deny_list, f"sid:{session}")
    wait_until_refused(client, ended)
    assert_problem(client.get("/api/v1/cart", headers=ended), 401, "invalid_token")
    assert client.get("/api/v1/catalog/products", headers=ended).status_code == 200


def test_many_revocations_at_once_are_all_taken(
    client: httpx.Client, deny_list: redis.Redis, key: Key
) -> None:
    sessions = [str(uuid.uuid4()) for _ in range(5000)]
    deny_list.zadd("gateway:revoked", {f"sid:{session}": time.time() + 600 for session in sessions})
    deny_list.incr("gateway:revoked:version")
    for session in (sessions[0], sessions[2500], sessions[-1]):
        wait_until_refused(client, {"Authorization": f"Bearer {access_token(key, sid=session)}"})


def test_an_entry_that_makes_no_sense_does_not_stop_the_others(
    client: httpx.Client, deny_list: redis.Redis, key: Key
) -> None:
    session = str(uuid.uuid4())
    rubbish = (b"", b"sid", b"sub:x", b"nonsense", b"\xff\xfe")
    deny_list.zadd("gateway:revoked", dict.fromkeys(rubbish, time.time() + 600))
    revoke(deny_list, f"sid:{session}")
    wait_until_refused(client, {"Authorization": f"Bearer {access_token(key, sid=session)}"})
    deny_list.zrem("gateway:revoked", *rubbish)


def test_without_redis_the_last_list_goes_on_and_afterwards_new_entries_count(
    gateway: Gateway,
    client: httpx.Client,
    redis_server: RedisServer,
    deny_list: redis.Redis,
    key: Key,
    bearer: Any,
) -> None:
    session, later = str(uuid.uuid4()), str(uuid.uuid4())
    ended = {"Authorization": f"Bearer {access_token(key, sid=session)}"}
    revoke(deny_list, f"sid:{session}")
    wait_until_refused(client, ended)
    redis_server.stop()
    gateway.wait_for_metric("gateway_denylist_age_seconds", lambda age: age > 1.5)
    assert client.get(ORDERS, headers=ended).status_code == 401
    assert client.get(ORDERS, headers=bearer()).status_code == 200
    redis_server.start()  # and it comes back empty
    with redis_server.client() as back:
        assert back.zcard("gateway:revoked") == 0
        revoke(back, f"sid:{later}")
    wait_until_refused(client, {"Authorization": f"Bearer {access_token(key, sid=later)}"})
    assert client.get(ORDERS, headers=ended).status_code == 401


def test_a_list_that_is_too_old_is_not_trusted_and_guests_go_on(
    tmp_path: Path, environment: dict[str, str], services: Services, key: Key
) -> None:
    server = RedisServer(tmp_path / "redis")
    server.start()
    settings = server.environment() | {"GATEWAY_DENYLIST_SECONDS": "3"}
    gateway = Gateway(tmp_path / "gateway", environment | settings).start()
    try:
        gateway.wait_until_keys_are_read()
        headers = {"Authorization": f"Bearer {access_token(key)}"}
        server.stop()
        assert http.get(gateway.url + ORDERS, headers=headers).status_code == 200
        gateway.wait_for_metric("gateway_denylist_age_seconds", lambda age: age > 3)
        services.reset()
        for path in (ORDERS, "/api/v1/cart"):
            answer = http.get(gateway.url + path, headers=headers)
            assert_problem(answer, 503, "service_unavailable")
            assert answer.headers["Retry-After"]
        assert services.seen == []
        assert http.get(f"{gateway.url}/api/v1/cart").status_code == 200
        assert http.get(f"{gateway.url}/api/v1/catalog/products", headers=headers).status_code == 200
        server.start()
        gateway.wait_for_metric("gateway_denylist_age_seconds", lambda age: age < 1.2)
        assert http.get(gateway.url + ORDERS, headers=headers).status_code == 200
    finally:
        gateway.stop()
        server.stop()


def test_a_list_read_before_a_reload_is_known_after_it(
    tmp_path: Path, environment: dict[str, str], services: Services, key: Key
) -> None:
    server = RedisServer(tmp_path / "redis")
    server.start()
    gateway = Gateway(tmp_path / "gateway", environment | server.environment()).start()
    try:
        gateway.wait_until_keys_are_read()
        session = str(uuid.uuid4())
        headers = {"Authorization": f"Bearer {access_token(key, sid=session)}"}
        with server.client() as back:
            revoke(back, f"sid:{session}")
        end = time.monotonic() + 5
        while http.get(gateway.url + ORDERS, headers=headers).status_code == 200:
            assert time.monotonic() < end
            time.sleep(0.05)
        server.stop()
        gateway.reload()
        for _ in range(6):
            assert http.get(gateway.url + ORDERS, headers=headers).status_code == 401
    finally:
        gateway.stop()
        server.stop()


def test_a_reload_reads_the_password_of_redis_again(
    tmp_path: Path, environment: dict[str, str], redis_server: RedisServer, services: Services, key: Key
) -> None:
    """Redis accepts both for a while; then the old one is taken away, and the deny list goes on."""
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    own = {name: value for name, value in environment.items() if name != "REDIS_PASSWORD"}
    gateway = Gateway(tmp_path / "out", own | {"REDIS_PASSWORD_FILE": str(file)}).start()
    user, session = str(uuid.uuid4()), str(uuid.uuid4())
    headers = {"Authorization": f"Bearer {access_token(key, sub=user, sid=session)}"}
    with redis_server.client() as deny_list, httpx.Client(base_url=gateway.url) as client:
        try:
            assert client.get(ORDERS, headers=headers).status_code == 200
            deny_list.execute_command("ACL", "SETUSER", USER, ">another")
            file.write_text("another\n")
            gateway.reload()
            deny_list.execute_command("ACL", "SETUSER", USER, f"<{PASSWORD}")
            deny_list.client_kill_filter(_type="normal", skipme=True)
            revoke(deny_list, f"sid:{session}")
            wait_until_refused(client, headers)
        finally:
            gateway.stop()
            deny_list.execute_command("ACL", "SETUSER", USER, f">{PASSWORD}", "<another")
