"""P-256 keys as files and as JWK."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


def load_private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """An EC P-256 key in PEM (PKCS #8). Raises `ValueError` with a sentence when the file holds anything else."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} holds no private key in PEM without a password: {error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError(f"{path} holds a key that is not EC P-256.")
    return key


def load_public_key(path: Path) -> ec.EllipticCurvePublicKey:
    """An EC P-256 public key in PEM. Raises `ValueError` with a sentence when the file holds anything else."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} holds no public key in PEM: {error}") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError(f"{path} holds a key that is not EC P-256.")
    return key


def public_jwk(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """The JWK of an ES256 verification key; `kid` is its thumbprint (RFC 7638)."""
    numbers = key.public_numbers()
    essential = {"crv": "P-256", "kty": "EC", "x": _base64url(numbers.x), "y": _base64url(numbers.y)}
    digest = hashlib.sha256(orjson.dumps(essential, option=orjson.OPT_SORT_KEYS)).digest()
    return {
        **essential,
        "alg": "ES256",
        "use": "sig",
        "kid": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
    }


def _base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()
