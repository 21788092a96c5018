"""Tokens are judged at the edge: whatever is wrong with one, the service never sees the request."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.support.gateway import Gateway
from tests.support.problems import assert_problem
from tests.support.raw import Connection, exchange
from tests.support.services import Services
from tests.support.tokens import Key, access_token, b64, claims, headers, sign

ORDERS = "/api/v1/orders"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def unsigned(key: Key, algorithm: str, signature: str = "") -> str:
    parts = [headers(key, alg=algorithm), claims()]
    return ".".join(b64(json.dumps(part).encode()) for part in parts) + "." + signature


def hmac_with(secret: bytes) -> Callable[[Key], str]:
    def make(key: Key) -> str:
        text = unsigned(key, "HS256").removesuffix(".")
        return f"{text}.{b64(hmac.digest(secret or key.public_pem, text.encode(), hashlib.sha256))}"

    return make


def rs256(key: Key) -> str:
    private = rsa.generate_private_key(65537, 2048)
    return jwt.encode(claims(), private, algorithm="RS256", headers={"typ": "at+jwt", "kid": key.kid})


def es384(key: Key) -> str:
    private = ec.generate_private_key(ec.SECP384R1())
    return jwt.encode(claims(), private, algorithm="ES384", headers={"typ": "at+jwt", "kid": key.kid})


def other_key(key: Key) -> str:
    return access_token(Key(key.kid))


def own_key_in_header(key: Key) -> str:
    attacker = Key(key.kid)
    return sign(attacker, headers(key, jwk=attacker.jwk), claims())


def der_signature(key: Key) -> str:
    text = unsigned(key, "ES256").removesuffix(".")
    return f"{text}.{b64(key.sign_der(text))}"


def signature_of(raw: bytes | Callable[[bytes], bytes]) -> Callable[[Key], str]:
    def make(key: Key) -> str:
        text = unsigned(key, "ES256").removesuffix(".")
        return f"{text}.{b64(raw(key.sign(text)) if callable(raw) else raw)}"

    return make


def other_spelling_of_the_signature(key: Key) -> str:
    """The same 64 bytes, but with other unused bits in the last character."""
    token = access_token(key)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


def changed_payload(key: Key) -> str:
    header, _, signature = access_token(key).split(".")
    return f"{header}.{b64(json.dumps(claims(roles=['admin'])).encode())}.{signature}"


def with_claims(**changes: Any) -> Callable[[Key], str]:
    return lambda key: sign(key, headers(key), claims(**changes))


def with_header(**changes: Any) -> Callable[[Key], str]:
    return lambda key: sign(key, headers(key, **changes), claims())


def payload_of(text: str) -> Callable[[Key], str]:
    return lambda key: sign(key, headers(key), b64(text.encode()))


def header_of(text: str) -> Callable[[Key], str]:
    return lambda key: sign(key, b64(text.encode()), claims())


NOW = int(time.time())
BAD_TOKENS: dict[str, tuple[Callable[[Key], str], str]] = {
    # the algorithm
    "alg none": (lambda key: unsigned(key, "none"), "not_a_jwt"),
    "alg none with a signature": (lambda key: unsigned(key, "none", "AAAA"), "wrong_algorithm"),
    "alg None in capitals": (lambda key: unsigned(key, "NONE", b64(bytes(64))), "wrong_algorithm"),
    "HS256 with the public key": (hmac_with(b""), "wrong_algorithm"),
    "HS256 with an empty secret": (hmac_with(b"\0"), "wrong_algorithm"),
    "RS256 under the known key id": (rs256, "wrong_algorithm"),
    "ES384 under the known key id": (es384, "wrong_algorithm"),
    "no alg": (with_header(alg=None), "wrong_algorithm"),
    "alg is a list": (with_header(alg=["ES256"]), "wrong_algorithm"),
    # the key
    "another key with our key id": (other_key, "bad_signature"),
    "a key of its own in the header": (own_key_in_header, "bad_signature"),
    "no key id": (with_header(kid=None), "no_key_id"),
    "an empty key id": (with_header(kid=""), "no_key_id"),
    "the key id is a number": (with_header(kid=1), "no_key_id"),
    "an endless key id": (with_header(kid="k" * 200), "no_key_id"),
    # the signature
    "another payload": (changed_payload, "bad_signature"),
    "a signature in DER": (der_signature, "bad_signature"),
    "an empty signature of zeros": (signature_of(bytes(64)), "bad_signature"),
    "r is zero": (signature_of(lambda raw: bytes(32) + raw[32:]), "bad_signature"),
    "s is zero": (signature_of(lambda raw: raw[:32] + bytes(32)), "bad_signature"),
    "r and s are the order of the curve": (signature_of(P256_ORDER.to_bytes(32, "big") * 2), "bad_signature"),
    "a signature of 63 bytes": (signature_of(lambda raw: raw[:63]), "bad_signature"),
    "a signature of 65 bytes": (signature_of(lambda raw: raw + b"\0"), "bad_signature"),
    "one bit of the signature": (signature_of(lambda raw: bytes([raw[0] ^ 1]) + raw[1:]), "bad_signature"),
    "another spelling of the signature": (other_spelling_of_the_signature, "bad_signature"),
    "no signature": (lambda key: access_token(key).rsplit(".", 1)[0] + ".", "not_a_jwt"),
    # the form
    "two parts": (lambda key: access_token(key).rsplit(".", 1)[0], "not_a_jwt"),
    "four parts": (lambda key: access_token(key) + ".AAAA", "not_a_jwt"),
    "padding": (lambda key: access_token(key) + "==", "not_a_jwt"),
    "a character of plain base64": (lambda key: access_token(key).replace(".", ".+", 1), "not_a_jwt"),
    "not a token at all": (lambda key: "letmein", "not_a_jwt"),
    "the header is no JSON": (header_of("{alg:ES256}"), "bad_header"),
    "the header is a list": (header_of('["ES256"]'), "bad_header"),
    "the payload is no JSON": (payload_of("{"), "bad_payload"),
    "the payload is a list": (payload_of("[1]"), "bad_payload"),
    "the payload is deep": (payload_of('{"a":' * 50 + "1" + "}" * 50), "bad_payload"),
    "a critical extension": (with_header(crit=["b64"], b64=False), "critical_extension"),
    # what it is for
    "an ID token": (with_header(typ="JWT"), "wrong_type"),
    "no type": (with_header(typ=None), "wrong_type"),
    "a refresh token": (lambda key: "kP3vQ9xWmB7rT2yU5zA8cD1eF4gH6jK0", "not_a_jwt"),
    "another issuer": (with_claims(iss="https://evil.example"), "wrong_issuer"),
    "no issuer": (with_claims(iss=None), "wrong_issuer"),
    "another audience": (with_claims(aud="svc-orders"), "wrong_audience"),
    "no audience": (with_claims(aud=None), "wrong_audience"),
    "other audiences": (with_claims(aud=["shops", "sho"]), "wrong_audience"),
    # when
    "expired": (with_claims(iat=NOW - 700, exp=NOW - 60), "expired"),
    "expired this second": (with_claims(exp=NOW), "expired"),
    "no expiry": (with_claims(exp=None), "no_expiry"),
    "the expiry is a text": (with_claims(exp=str(NOW + 600)), "no_expiry"),
    "the expiry is beyond all time": (with_claims(exp=10**18), "no_expiry"),
    "a negative expiry": (with_claims(exp=-1), "no_expiry"),
    "not valid yet": (with_claims(nbf=NOW + 3600), "not_yet_valid"),
    "issued in the future": (with_claims(iat=NOW + 3600), "bad_issue_time"),
    "no time of issue": (with_claims(iat=None), "bad_issue_time"),
    # whose
    "no subject": (with_claims(sub=None), "no_subject"),
    "an empty subject": (with_claims(sub=""), "no_subject"),
    "the subject is a number": (with_claims(sub=1), "no_subject"),
    "the subject is no id": (with_claims(sub="' or 1=1 --"), "no_subject"),
    "no session": (with_claims(sid=None), "no_session"),
    "an endless session": (with_claims(sid="s" * 500), "no_session"),
    "no roles": (with_claims(roles=None), "bad_roles"),
    "the roles are a text": (with_claims(roles="admin"), "bad_roles"),
    "the roles are an object": (with_claims(roles={"admin": True}), "bad_roles"),
    "a role that is no text": (with_claims(roles=[1]), "bad_roles"),
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_a_bad_token_ends_at_the_edge_and_a_good_one_beside_it_works(
    client: httpx.Client, services: Services, key: Key, bearer: Any, name: str
) -> None:
    make, reason = BAD_TOKENS[name]
    for path in (ORDERS, "/api/v1/cart"):
        answer = client.get(path, headers={"Authorization": f"Bearer {make(key)}"})
        document = assert_problem(answer, 401, "invalid_token")
        assert document["reason"] == reason
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert services.seen == []
    assert client.get(ORDERS, headers=bearer()).status_code == 200
    assert len(services.seen) == 1


BAD_HEADERS = {
    "basic": ("Basic YTpi", "not_a_bearer_token"),
    "digest": ('Digest username="a"', "not_a_bearer_token"),
    "only the scheme": ("Bearer", "not_a_bearer_token"),
    "a scheme without a blank": ("Bearer:TOKEN", "not_a_bearer_token"),
    "the token alone": ("TOKEN", "not_a_bearer_token"),
    "two blanks": ("Bearer  TOKEN", "not_a_bearer_token"),
    "a tab": ("Bearer\tTOKEN", "not_a_bearer_token"),
    "two tokens": ("Bearer TOKEN TOKEN", "not_a_bearer_token"),
    "two credentials in a list": ("Bearer TOKEN, Bearer TOKEN", "not_a_bearer_token"),
    "empty": ("", "not_a_bearer_token"),
    "quoted": ('Bearer "TOKEN"', "not_a_jwt"),
}


@pytest.mark.parametrize("name", BAD_HEADERS)
def test_an_authorization_that_is_no_bearer_token_is_401(
    gateway: Gateway, services: Services, key: Key, address: str, name: str
) -> None:
    value, reason = BAD_HEADERS[name]
    value = value.replace("TOKEN", access_token(key))
    request = (
        f"GET {ORDERS} HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: {address}\r\nAuthorization: {value}\r\n\r\n"
    )
    answer = exchange(gateway.port, request)
    assert (answer.status, json.loads(answer.body)["reason"]) == (401, reason)
    assert answer.header("WWW-Authenticate") == 'Bearer error="invalid_token"'
    assert services.seen == []


def test_two_authorization_headers_are_401_even_if_both_are_good(
    gateway: Gateway, services: Services, key: Key, address: str
) -> None:
    line = f"Authorization: Bearer {access_token(key)}\r\n"
    head = f"GET {ORDERS} HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: {address}\r\n"
    answer = exchange(gateway.port, f"{head}{line}{line}\r\n")
    assert (answer.status, json.loads(answer.body)["code"]) == (401, "invalid_token")
    assert answer.header("WWW-Authenticate") == 'Bearer error="invalid_token"'
    assert services.seen == []
    assert exchange(gateway.port, f"{head}{line}\r\n").status == 200


def test_a_missing_token_is_401_without_an_error(client: httpx.Client, services: Services) -> None:
    answer = client.get(ORDERS)
    assert_problem(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert services.seen == []


def test_a_token_in_the_query_or_a_cookie_does_not_count(
    client: httpx.Client, services: Services, key: Key
) -> None:
    token = access_token(key)
    assert_problem(client.get(f"{ORDERS}?access_token={token}"), 401, "unauthorized")
    assert_problem(client.get(ORDERS, headers={"Cookie": f"access={token}"}), 401, "unauthorized")
    assert services.seen == []


def test_a_guest_may_use_an_optional_route(client: httpx.Client, services: Services, bearer: Any) -> None:
    assert client.get("/api/v1/cart").status_code == 200
    assert services.last.header("authorization") is None
    assert client.get("/api/v1/cart", headers=bearer()).status_code == 200


def test_a_public_route_does_not_look_at_a_token(client: httpx.Client, services: Services) -> None:
    assert (
        client.get("/api/v1/catalog/products", headers={"Authorization": "Bearer rubbish"}).status_code == 200
    )
    assert len(services.seen) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["other", "shop"]},
        {"nbf": NOW - 5},
        {"nbf": NOW + 2},
        {"roles": []},
        {"roles": ["customer", "unknown-role"]},
        {"extra": {"deep": [1, 2]}},
        {"sub": str(uuid.uuid4()).upper()},
        {"exp": time.time() + 60.5},
    ],
    ids=str,
)
def test_unusual_but_good_tokens_work(client: httpx.Client, key: Key, changes: dict[str, Any]) -> None:
    token = sign(key, headers(key), claims(**changes))
    assert client.get(ORDERS, headers={"Authorization": f"Bearer {token}"}).status_code == 200


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "BeArEr"])
def test_the_scheme_is_read_without_regard_to_case(client: httpx.Client, key: Key, scheme: str) -> None:
    assert client.get(ORDERS, headers={"Authorization": f"{scheme} {access_token(key)}"}).status_code == 200


def test_the_long_name_of_the_type_is_as_good(client: httpx.Client, key: Key) -> None:
    token = sign(key, headers(key, typ="application/at+jwt"), claims())
    assert client.get(ORDERS, headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_a_token_may_be_eight_kibibytes_and_no_longer(
    client: httpx.Client, services: Services, key: Key
) -> None:
    filler = "x" * 5500
    long = sign(key, headers(key), claims(filler=filler))
    assert 7500 < len(long) < 8192
    assert client.get(ORDERS, headers={"Authorization": f"Bearer {long}"}).status_code == 200
    services.reset()
    rubbish = client.get(ORDERS, headers={"Authorization": "Bearer " + "x" * (8192 - 7)})
    assert_problem(rubbish, 401, "invalid_token")
    assert_problem(
        client.get(ORDERS, headers={"Authorization": "Bearer " + "x" * 8192}), 431, "headers_too_large"
    )
    assert services.seen == []


def test_a_token_stops_the_moment_it_expires_although_it_was_verified_before(
    client: httpx.Client, services: Services, key: Key
) -> None:
    expires = int(time.time()) + 2
    good = {"Authorization": f"Bearer {access_token(key, exp=expires)}"}
    assert client.get(ORDERS, headers=good).status_code == 200
    assert client.get(ORDERS, headers=good).status_code == 200
    time.sleep(max(0.0, expires + 0.05 - time.time()))
    services.reset()
    assert assert_problem(client.get(ORDERS, headers=good), 401, "invalid_token")["reason"] == "expired"
    assert services.seen == []


def test_a_token_is_verified_once_and_every_character_of_it_counts_afterwards(
    gateway: Gateway, client: httpx.Client, services: Services, key: Key
) -> None:
    name = 'gateway_tokens_total{result="verified"}'
    token = access_token(key)
    header, payload, signature = token.split(".")
    for _ in range(5):
        assert client.get(ORDERS, headers={"Authorization": f"Bearer {token}"}).status_code == 200
    time.sleep(0.4)
    before = gateway.metrics()[name]
    for _ in range(5):
        assert client.get(ORDERS, headers={"Authorization": f"Bearer {token}"}).status_code == 200
    time.sleep(0.4)
    assert gateway.metrics()[name] == before
    swapped = ("A" if signature[20] != "A" else "B").join((signature[:20], signature[21:]))
    services.reset()
    answer = client.get(ORDERS, headers={"Authorization": f"Bearer {header}.{payload}.{swapped}"})
    assert_problem(answer, 401, "invalid_token")
    assert services.seen == []


def test_a_full_memory_of_tokens_costs_verifications_and_nothing_else(
    tmp_path: Path, environment: dict[str, str], services: Services, key: Key
) -> None:
    def small(text: str) -> str:
        return text.replace("shop_tokens 32m;", "shop_tokens 32k;")

    off = {"GATEWAY_LIMIT_ADDRESS": "off", "GATEWAY_LIMIT_USER": "off"}
    gateway = Gateway(tmp_path / "gateway", environment | off).start(small)
    try:
        gateway.wait_until_keys_are_read()
        tokens = [access_token(key, sid=f"session-{number}") for number in range(600)]
        ended = access_token(key, sid="session-0", exp=int(time.time()) - 1)
        for _ in range(2):
            with Connection(gateway.port) as connection:
                for token in [*tokens, ended]:
                    connection.send(
                        f"GET {ORDERS} HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {token}\r\n\r\n"
                    )
                    assert connection.read().status == (401 if token is ended else 200)
            gateway.reload()  # the new workers know only what is shared
        verified = gateway.metrics()['gateway_tokens_total{result="verified"}']
        assert 600 < verified < 1200 + 1
        assert len(services["svc-orders"].seen) == 1200
        assert "no memory" not in gateway.error_log()
    finally:
        gateway.stop()


def test_roles_decide_where_a_whole_route_needs_them(
    client: httpx.Client, services: Services, bearer: Any
) -> None:
    path = "/api/v1/accounts/users"
    for roles in ([], ["customer"], ["customer", "seller"], ["Staff"], ["staff "]):
        assert_problem(client.get(path, headers=bearer(roles=roles)), 403, "permission_denied")
    assert services.seen == []
    for roles in (["staff"], ["admin"], ["customer", "staff"]):
        assert client.get(path, headers=bearer(roles=roles)).status_code == 200
