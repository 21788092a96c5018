"""The public keys of svc-accounts: read in the background, again for an unknown key id, and never lost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support import http
from tests.support.gateway import Gateway
from tests.support.problems import assert_problem
from tests.support.services import Service, Services
from tests.support.tokens import Key, KeySet, access_token, b64

ORDERS = "/api/v1/orders"
COOLDOWN = 3.2  # seconds after which an unknown key id may make the gateway ask again


@pytest.fixture
def keys() -> KeySet:
    return KeySet()


@pytest.fixture
def accounts(services: Services, keys: KeySet) -> Iterator[Service]:
    """svc-accounts of this test's own gateway."""
    service = Service("svc-accounts")
    service.jwks = keys.document
    service.start()
    yield service
    service.stop()


@pytest.fixture
def fresh(tmp_path: Path, environment: dict[str, str], accounts: Service) -> Iterator[Gateway]:
    """A gateway that has just started."""
    gateway = Gateway(tmp_path, environment | {"SVC_ACCOUNTS_URL": accounts.url}).start()
    yield gateway
    gateway.stop()


def ask(gateway: Gateway, key: Key) -> httpx.Response:
    return http.get(
        f"{gateway.url}{ORDERS}", headers={"Authorization": f"Bearer {access_token(key)}"}, timeout=10
    )


def test_a_new_key_is_learned_by_the_first_request_that_brings_it_and_the_old_one_goes_on(
    fresh: Gateway, accounts: Service, keys: KeySet
) -> None:
    fresh.wait_until_keys_are_read()
    old, new = keys.keys[0], Key("second")
    assert ask(fresh, old).status_code == 200
    reads = accounts.jwks_reads
    keys.keys.insert(0, new)
    assert ask(fresh, new).status_code == 200
    assert accounts.jwks_reads == reads + 1
    assert ask(fresh, old).status_code == 200


def test_a_withdrawn_key_ends_also_tokens_that_were_verified_with_it(fresh: Gateway, keys: KeySet) -> None:
    fresh.wait_until_keys_are_read()
    stolen, new = keys.keys[0], Key("second")
    headers = {"Authorization": f"Bearer {access_token(stolen)}"}
    assert http.get(f"{fresh.url}{ORDERS}", headers=headers).status_code == 200
    keys.keys[:] = [new]
    assert ask(fresh, new).status_code == 200
    answer = http.get(f"{fresh.url}{ORDERS}", headers=headers)
    assert assert_problem(answer, 401, "invalid_token")["reason"] == "unknown_key"


def test_a_flood_of_unknown_key_ids_does_not_reach_svc_accounts(fresh: Gateway, accounts: Service) -> None:
    fresh.wait_until_keys_are_read()
    unknown = [Key(f"unknown-{number}") for number in range(40)]
    reads, began = accounts.jwks_reads, time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda key: ask(fresh, key), unknown))
    for answer in answers:
        assert assert_problem(answer, 401, "invalid_token")["reason"] == "unknown_key"
    assert 1 <= accounts.jwks_reads - reads <= 1 + (time.monotonic() - began) / 3


def test_svc_accounts_may_be_away_once_its_keys_are_known(
    fresh: Gateway, accounts: Service, keys: KeySet
) -> None:
    fresh.wait_until_keys_are_read()
    accounts.stop()
    for _ in range(5):
        assert ask(fresh, keys.keys[0]).status_code == 200
    assert_problem(ask(fresh, Key("unknown")), 401, "invalid_token")
    assert ask(fresh, keys.keys[0]).status_code == 200


def test_before_any_key_was_read_tokens_get_503_and_soon_after_they_work(
    tmp_path: Path, environment: dict[str, str], accounts: Service, services: Services, keys: KeySet
) -> None:
    accounts.stop()
    gateway = Gateway(tmp_path, environment | {"SVC_ACCOUNTS_URL": accounts.url}).start()
    try:
        answer = ask(gateway, keys.keys[0])
        assert_problem(answer, 503, "service_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert services.seen == []
        assert http.get(f"{gateway.url}/api/v1/catalog/products").status_code == 200
        assert http.get(f"{gateway.url}/api/v1/cart").status_code == 200
        accounts.start()
        gateway.wait_until_keys_are_read()
        assert ask(gateway, keys.keys[0]).status_code == 200
    finally:
        gateway.stop()


RUBBISH = {
    "no JSON": b"<html>",
    "no keys": b'{"keys": []}',
    "another shape": b'["keys"]',
    "nothing usable": json.dumps({"keys": [{"kty": "oct", "kid": "first", "k": "c2VjcmV0"}]}).encode(),
    "a point that is not on the curve": json.dumps(
        {"keys": [{"kty": "EC", "crv": "P-256", "kid": "first", "x": b64(b"\1" * 32), "y": b64(b"\1" * 32)}]}
    ).encode(),
    "endless": b'{"keys": [' + b" " * 300_000 + b"]}",
}


def test_a_bad_set_never_replaces_a_good_one(fresh: Gateway, accounts: Service, keys: KeySet) -> None:
    fresh.wait_until_keys_are_read()
    failures = 'gateway_jwks_fetches_total{result="failed"}'
    for name in ("no JSON", "a point that is not on the curve"):
        accounts.jwks = partial(RUBBISH.get, name)
        before = fresh.metrics().get(failures, 0)
        time.sleep(COOLDOWN if before else 0)
        assert ask(fresh, Key("unknown")).status_code == 401
        fresh.wait_for_metric(failures, lambda value, before=before: value > before)
        assert ask(fresh, keys.keys[0]).status_code == 200


@pytest.mark.parametrize("name", RUBBISH)
def test_no_bad_set_is_taken_for_a_good_one(
    tmp_path: Path, environment: dict[str, str], accounts: Service, keys: KeySet, name: str
) -> None:
    accounts.jwks = lambda: RUBBISH[name]
    gateway = Gateway(tmp_path, environment | {"SVC_ACCOUNTS_URL": accounts.url}).start()
    try:
        gateway.wait_for_metric('gateway_jwks_fetches_total{result="failed"}', lambda value: value >= 1)
        assert ask(gateway, keys.keys[0]).status_code == 503
        assert gateway.metrics()["gateway_jwks_loaded"] == 0
    finally:
        gateway.stop()


def test_keys_for_other_purposes_in_the_set_are_left_alone(
    fresh: Gateway, accounts: Service, keys: KeySet
) -> None:
    encryption = Key("encryption")
    big = ec.generate_private_key(ec.SECP384R1()).public_key().public_numbers()
    others = [
        encryption.jwk | {"use": "enc"},
        encryption.jwk | {"alg": "ES384", "kid": "wrong-alg"},
        {
            "kty": "EC",
            "crv": "P-384",
            "kid": "big",
            "x": b64(big.x.to_bytes(48, "big")),
            "y": b64(big.y.to_bytes(48, "big")),
        },
        {"kty": "oct", "kid": "symmetric", "k": "AAAA"},
        "nonsense",
        {"kty": "EC"},
    ]
    accounts.jwks = lambda: json.dumps({"keys": [*others, keys.keys[0].jwk]}).encode()
    assert ask(fresh, keys.keys[0]).status_code == 200
    assert ask(fresh, encryption).status_code == 401
