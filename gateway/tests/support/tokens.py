"""Key pairs and access tokens, good ones and every kind of bad one."""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ISSUER, AUDIENCE = "svc-accounts", "shop"


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Key:
    def __init__(self, kid: str) -> None:
        self.kid = kid
        self.private = ec.generate_private_key(ec.SECP256R1())

    @property
    def jwk(self) -> dict[str, str]:
        numbers = self.private.public_key().public_numbers()
        x, y = b64(numbers.x.to_bytes(32, "big")), b64(numbers.y.to_bytes(32, "big"))
        return {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.kid, "x": x, "y": y}

    @property
    def public_pem(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, text: str) -> bytes:
        """r and s, 32 bytes each."""
        r, s = decode_dss_signature(self.sign_der(text))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def sign_der(self, text: str) -> bytes:
        return self.private.sign(text.encode(), ec.ECDSA(hashes.SHA256()))


class RsaKey:
    """A key for RS256."""

    def __init__(self, kid: str, bits: int = 2048) -> None:
        self.kid = kid
        self.private = rsa.generate_private_key(65537, bits)

    @property
    def jwk(self) -> dict[str, str]:
        numbers = self.private.public_key().public_numbers()
        modulus, exponent = (
            b64(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in (numbers.n, numbers.e)
        )
        return {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.kid, "n": modulus, "e": exponent}

    @property
    def public_pem(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, text: str) -> bytes:
        return self.private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())

    def sign_pss(self, text: str) -> bytes:
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        return self.private.sign(text.encode(), pss, hashes.SHA256())


class KeySet:
    """What svc-accounts publishes; the first key signs."""

    def __init__(self) -> None:
        self.keys = [Key("first")]

    def document(self) -> bytes:
        return json.dumps({"keys": [key.jwk for key in self.keys]}).encode()


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good token; None as a value takes the claim away."""
    now = int(time.time())
    made: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(uuid.uuid4()),
        "sid": str(uuid.uuid4()),
        "jti": str(uuid.uuid4()),
        "iat": now,
        "exp": now + 600,
        "roles": ["customer"],
    }
    made.update(changes)
    return {name: value for name, value in made.items() if value is not None}


def headers(key: Key, **changes: Any) -> dict[str, Any]:
    made = {"alg": "ES256", "typ": "at+jwt", "kid": key.kid, **changes}
    return {name: value for name, value in made.items() if value is not None}


def sign(key: Key | RsaKey, header: Any, payload: Any) -> str:
    """A token of any header and payload, also of those that no library would sign. Strings are taken as they are."""
    parts = [part if isinstance(part, str) else b64(json.dumps(part).encode()) for part in (header, payload)]
    text = ".".join(parts)
    return f"{text}.{b64(key.sign(text))}"


def access_token(key: Key, **changes: Any) -> str:
    """A good token with changed claims."""
    return jwt.encode(
        claims(**changes), key.private, algorithm="ES256", headers={"typ": "at+jwt", "kid": key.kid}
    )
