"""The keys of access tokens: one that signs, and all public ones that gateway and services may meet.

To rotate without refusing anybody: put the public half of the next key into JWT_PREVIOUS_PUBLIC_KEYS_DIR and restart;
after `MAX_AGE_SECONDS` make it the signing key and leave the public half of the old one in the folder; when the last
token of the old key has expired, remove it.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING

import orjson
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from jwt import PyJWK

from shared_lib.auth.keys import load_private_key, load_public_key, public_jwk

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

ALGORITHM = "ES256"
MAX_AGE_SECONDS = 300


class KeySet:
    """`jwks` is the JSON Web Key Set (RFC 7517) as it is served, the signing key first; `etag` names its content."""

    def __init__(self, private_key: EllipticCurvePrivateKey, public_keys: list[dict[str, str]]) -> None:
        signing = public_jwk(private_key.public_key())
        by_kid = {jwk["kid"]: jwk for jwk in (signing, *public_keys)}
        self.private_key = private_key
        self.kid = signing["kid"]
        self.jwks = orjson.dumps({"keys": list(by_kid.values())})
        self.etag = hashlib.sha256(self.jwks).hexdigest()[:32]
        self._verifying = {kid: PyJWK(jwk) for kid, jwk in by_kid.items()}

    def key(self, kid: str) -> PyJWK | None:
        """The public key named `kid`, for `shared_lib.auth`: this service asks itself without a request."""
        return self._verifying.get(kid)


@cache
def key_set() -> KeySet:
    """The keys of this process, read once. Raises `ImproperlyConfigured` with a sentence for a file that holds no such key."""
    folder = settings.JWT_PREVIOUS_PUBLIC_KEYS_DIR
    try:
        private_key = load_private_key(settings.JWT_SIGNING_KEY_FILE)
        others = (
            [public_jwk(load_public_key(file)) for file in sorted(folder.glob("*.pem"))] if folder else []
        )
    except (ValueError, OSError) as error:
        raise ImproperlyConfigured(str(error)) from None
    return KeySet(private_key, others)
