"""GET /.well-known/jwks.json and the keys behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.core.exceptions import ImproperlyConfigured

from accounts.checks import check_keys
from accounts.keys import key_set

URL = "/.well-known/jwks.json"


@pytest.fixture(autouse=True)
def _keys_are_read_again() -> Iterator[None]:
    key_set.cache_clear()
    yield
    key_set.cache_clear()


def public_pem(folder: Path, name: str, key: Any) -> None:
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / f"{name}.pem").write_bytes(pem)


def private_pem(file: Path, key: Any) -> Path:
    none = serialization.NoEncryption()
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none))
    return file


@pytest.mark.django_db
def test_the_key_set_verifies_what_we_sign_and_holds_nothing_private(
    api: Any, user: Any, sign_in: Any
) -> None:
    response = api.anonymous().get(URL)

    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    (key,) = response.json()["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")
    access = sign_in(user.email).json()["access"]
    jwt.decode(access, jwt.PyJWK(key), algorithms=["ES256"], audience="shop", issuer="svc-accounts")


def test_the_kid_is_the_thumbprint_of_rfc_7638(api: Any) -> None:
    import base64
    import hashlib

    (key,) = api.anonymous().get(URL).json()["keys"]
    canonical = f'{{"crv":"P-256","kty":"EC","x":"{key["x"]}","y":"{key["y"]}"}}'
    expected = base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).rstrip(b"=").decode()
    assert key["kid"] == expected


def test_it_may_be_cached_and_asked_for_again(api: Any) -> None:
    first = api.anonymous().get(URL)

    assert first["Cache-Control"] == "public, max-age=300"
    again = api.anonymous().get(URL, HTTP_IF_NONE_MATCH=first["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    assert api.anonymous().get(URL, HTTP_IF_NONE_MATCH='"other"').status_code == 200


def test_other_methods_are_refused(api: Any) -> None:
    assert api.anonymous().post(URL).status_code == 405


def test_keys_that_come_or_go_are_published_beside_the_one_that_signs(
    api: Any, settings: Any, tmp_path: Path
) -> None:
    signing = key_set().kid
    key_set.cache_clear()
    for name in ("next", "old"):
        public_pem(tmp_path, name, ec.generate_private_key(ec.SECP256R1()))
    (tmp_path / "README").write_text("not a key")
    settings.JWT_PREVIOUS_PUBLIC_KEYS_DIR = tmp_path

    keys = api.anonymous().get(URL).json()["keys"]

    assert keys[0]["kid"] == signing
    assert len({key["kid"] for key in keys}) == 3
    assert key_set().key(keys[1]["kid"]) is not None
    assert key_set().key("unknown") is None


def test_the_signing_key_among_the_previous_ones_is_listed_once(settings: Any, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    settings.JWT_SIGNING_KEY_FILE = private_pem(tmp_path / "signing.key", key)
    public_pem(tmp_path, "same", key)
    settings.JWT_PREVIOUS_PUBLIC_KEYS_DIR = tmp_path

    assert key_set().jwks.count(b'"kid"') == 1


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)],
    ids=["P-384", "RSA"],
)
def test_a_key_of_another_kind_stops_the_service_with_a_sentence(
    settings: Any, tmp_path: Path, key: Any
) -> None:
    settings.JWT_SIGNING_KEY_FILE = private_pem(tmp_path / "wrong.pem", key)

    with pytest.raises(ImproperlyConfigured, match=r"wrong\.pem"):
        key_set()
    (error,) = check_keys()
    assert "wrong.pem" in error.msg


def test_a_file_that_is_no_key_stops_the_service_with_a_sentence(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "noise.pem").write_text("noise")
    settings.JWT_PREVIOUS_PUBLIC_KEYS_DIR = tmp_path

    (error,) = check_keys()
    assert "noise.pem" in error.msg


def test_this_service_verifies_with_its_own_keys_and_asks_nobody(settings: Any) -> None:
    from django.utils.module_loading import import_string

    keys = import_string(settings.ACCESS_TOKEN_KEYS)()

    assert keys is key_set()
    assert keys.key(keys.kid) is not None
