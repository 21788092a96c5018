"""RS256 beside ES256: the key that the key id names decides, never the token."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import http
from tests.support.gateway import Gateway
from tests.support.problems import assert_problem
from tests.support.services import Service, Services
from tests.support.tokens import Key, RsaKey, b64, claims, sign

ORDERS = "/api/v1/orders"
RSA, SMALL, EC = RsaKey("rsa"), RsaKey("small", 1024), Key("ec")


def header(key: RsaKey | Key, algorithm: str = "RS256") -> dict[str, Any]:
    return {"alg": algorithm, "typ": "at+jwt", "kid": key.kid}


def token(key: Any, algorithm: str = "RS256", **changes: Any) -> str:
    return sign(key, header(key, algorithm), claims(**changes))


def with_signature(make: Callable[[str], bytes], algorithm: str = "RS256") -> str:
    text = ".".join(b64(json.dumps(part).encode()) for part in (header(RSA, algorithm), claims()))
    return f"{text}.{b64(make(text))}"


def changed_payload() -> str:
    first, _, last = token(RSA).split(".")
    return f"{first}.{b64(json.dumps(claims(roles=['admin'])).encode())}.{last}"


def other_rsa_key() -> str:
    return sign(RsaKey(RSA.kid), header(RSA), claims())


def ec_signature_under_the_rsa_key_id() -> str:
    return sign(EC, header(RSA), claims())


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[Gateway]:
    accounts = Service("svc-accounts")
    keys = [SMALL.jwk, RSA.jwk | {"alg": "PS256", "kid": "pss"}, RSA.jwk, EC.jwk]
    keys += [
        RSA.jwk | {"e": "AQ", "kid": "one"},
        RSA.jwk | {"n": "!", "kid": "rubbish"},
        {"kty": "RSA", "kid": "no"},
    ]
    accounts.jwks = json.dumps({"keys": keys}).encode
    accounts.start()
    started = Gateway(
        tmp_path_factory.mktemp("rsa"), environment | {"SVC_ACCOUNTS_URL": accounts.url}
    ).start()
    started.wait_until_keys_are_read()
    yield started
    started.stop()
    accounts.stop()


def ask(gateway: Gateway, value: str) -> httpx.Response:
    return http.get(gateway.url + ORDERS, headers={"Authorization": f"Bearer {value}"})


def test_both_kinds_of_keys_work_beside_each_other(gateway: Gateway, services: Services) -> None:
    for value in (token(RSA), token(EC, "ES256"), token(RSA)):
        for _ in range(3):
            assert ask(gateway, value).status_code == 200
    assert len(services.seen) == 9


BAD = {
    "another payload": (changed_payload, "bad_signature"),
    "another key with our key id": (other_rsa_key, "bad_signature"),
    "an ES256 signature": (ec_signature_under_the_rsa_key_id, "bad_signature"),
    "PSS padding": (lambda: with_signature(RSA.sign_pss), "bad_signature"),
    "PS256": (lambda: with_signature(RSA.sign_pss, "PS256"), "wrong_algorithm"),
    "RS512": (lambda: with_signature(RSA.sign, "RS512"), "wrong_algorithm"),
    "ES256 under the RSA key id": (lambda: token(RSA, "ES256"), "wrong_algorithm"),
    "RS256 under the EC key id": (lambda: sign(RSA, header(EC), claims()), "wrong_algorithm"),
    "none": (lambda: with_signature(lambda _: b"x", "none"), "wrong_algorithm"),
    "HS256 with the public key": (
        lambda: with_signature(
            lambda text: hmac.digest(RSA.public_pem, text.encode(), hashlib.sha256), "HS256"
        ),
        "wrong_algorithm",
    ),
    "no signature to speak of": (lambda: with_signature(lambda _: b"\0"), "bad_signature"),
    "zeros": (lambda: with_signature(lambda _: bytes(256)), "bad_signature"),
    "a zero before it": (lambda: with_signature(lambda text: b"\0" + RSA.sign(text)), "bad_signature"),
    "a byte less": (lambda: with_signature(lambda text: RSA.sign(text)[:-1]), "bad_signature"),
    "a key that is too short": (lambda: token(SMALL), "unknown_key"),
    "a key for another algorithm": (lambda: sign(RSA, header(RSA) | {"kid": "pss"}, claims()), "unknown_key"),
    "an exponent of one": (lambda: sign(RSA, header(RSA) | {"kid": "one"}, claims()), "unknown_key"),
    "expired": (lambda: token(RSA, exp=1), "expired"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_token_ends_at_the_edge_and_a_good_one_beside_it_works(
    gateway: Gateway, services: Services, name: str
) -> None:
    make, reason = BAD[name]
    assert assert_problem(ask(gateway, make()), 401, "invalid_token")["reason"] == reason
    assert services.seen == []
    assert ask(gateway, token(RSA)).status_code == 200
    assert len(services.seen) == 1


def test_keys_that_can_not_be_used_are_named_in_the_log(gateway: Gateway) -> None:
    text = Path(gateway.output / "error.log").read_text()
    for kid in ("small", "pss", "one", "rubbish"):
        assert f"key {kid} of svc-accounts is left out" in text
