"""Access tokens of users and tokens between services: JWT, ES256."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import jwt
from django.conf import settings
from django.utils.module_loading import import_string
from jwt import PyJWTError

from shared_lib.auth.jwks import JWKSCache, SignedMemory
from shared_lib.auth.verified import Verified, VerifiedTokens

ACCESS_TOKEN_TYPE = "at+jwt"
SERVICE_TOKEN_TYPE = "svc+jwt"
ALGORITHM = "ES256"
LEEWAY_SECONDS = 5
SERVICE_TOKEN_SECONDS = 60
MAX_TOKEN_LENGTH = 8192
#: How long public keys of services are believed unread, and the shortest pause between two readings; in seconds.
PUBLIC_KEYS_SECONDS = 5.0
PUBLIC_KEYS_PAUSE_SECONDS = 0.2


class TokenInvalid(Exception):
    """The token cannot be used, whatever the reason. The text is for logs and never sent to the client."""


class AccessTokenKeys(Protocol):
    """Where the public keys of access tokens come from."""

    def key(self, kid: str) -> jwt.PyJWK | None: ...


@cache
def _jwks() -> AccessTokenKeys:
    """The keys by HTTP, or from the function that ACCESS_TOKEN_KEYS names.

    svc-accounts has them itself: its threads must not wait for an answer that one of them would have to give.
    """
    own: str | None = getattr(settings, "ACCESS_TOKEN_KEYS", None)
    return import_string(own)() if own else JWKSCache(settings.JWKS_URL, memory=SignedMemory())


_access_tokens = VerifiedTokens()


def verify_access_token(token: str) -> dict[str, Any]:
    """The claims of a valid access token, not to be changed.

    Raises `TokenInvalid`, or `shared_lib.auth.jwks.KeysUnavailable` when that cannot be said at the moment.
    """
    issuer, audience = settings.JWT_ISSUER, settings.JWT_AUDIENCE
    known = _access_tokens.find(token, counts=lambda found: _jwks().key(found.kid) is found.key)
    if known is not None and (known["iss"], known["aud"]) == (issuer, audience):
        return known
    kid = str(_header(token, ACCESS_TOKEN_TYPE).get("kid", ""))
    key = _jwks().key(kid)
    if key is None:
        raise TokenInvalid("unknown kid")
    claims = _decode(token, key.key, issuer=issuer, audience=audience, required=("sub", "sid", "roles"))
    _access_tokens.remember(token, Verified(key, kid, claims))
    return claims


def _header(token: str, token_type: str) -> dict[str, Any]:
    if len(token) > MAX_TOKEN_LENGTH:
        raise TokenInvalid("too long")
    try:
        header = jwt.get_unverified_header(token)
    except PyJWTError as error:
        raise TokenInvalid(str(error)) from None
    if header.get("typ") != token_type:
        raise TokenInvalid(f"typ is not {token_type}")
    return header


def _decode(
    token: str, key: Any, *, issuer: str, audience: str, required: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The algorithm is the key's, never the token's."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=issuer,
            audience=audience,
            leeway=LEEWAY_SECONDS,
            options={"require": ["iss", "aud", "exp", "iat", *required]},
        )
    except (PyJWTError, ValueError, TypeError) as error:
        raise TokenInvalid(str(error)) from None
    return claims


class ServiceTokens:
    """Signs this service's tokens and verifies the others'. Public keys are files that every service is given."""

    def __init__(self, service: str, private_key_file: Path, public_keys_dir: Path) -> None:
        self._service = service
        self._private_key = private_key_file.read_text()
        self._public_keys_dir = public_keys_dir
        self._public_keys: dict[str, tuple[float, list[str]]] = {}
        self._issued: dict[str, tuple[float, str]] = {}
        self._verified = VerifiedTokens(most=256)
        self._lock = threading.Lock()

    def token_for(self, audience: str) -> str:
        """A token for calls to `audience`, used again for half of its life."""
        now = time.time()
        issued = self._issued.get(audience)
        if issued and now - issued[0] < SERVICE_TOKEN_SECONDS / 2:
            return issued[1]
        claims = {
            "iss": self._service,
            "aud": audience,
            "iat": int(now),
            "exp": int(now) + SERVICE_TOKEN_SECONDS,
        }
        token = jwt.encode(claims, self._private_key, ALGORITHM, headers={"typ": SERVICE_TOKEN_TYPE})
        with self._lock:
            self._issued[audience] = (now, token)
        return token

    def verify(self, token: str) -> str:
        """The name of the calling service. Raises `TokenInvalid`."""
        known = self._verified.find(
            token, counts=lambda found: found.key in self._keys_of(found.claims["iss"], newest=False)
        )
        if known is not None:
            return str(known["iss"])
        _header(token, SERVICE_TOKEN_TYPE)
        try:
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
        except PyJWTError as error:
            raise TokenInvalid(str(error)) from None
        reason = TokenInvalid(f"no public key of {issuer}")
        for newest in (False, True):
            keys = self._keys_of(str(issuer), newest=newest)
            for key in keys:
                try:
                    claims = _decode(token, key, issuer=str(issuer), audience=self._service)
                except TokenInvalid as error:
                    reason = error
                else:
                    self._verified.remember(token, Verified(key, "", claims))
                    return str(issuer)
        raise reason

    def _keys_of(self, issuer: str, *, newest: bool) -> list[str]:
        """The public keys of a service: `NAME.pem`, and while its pair is replaced `NAME.next.pem` or `NAME.previous.pem`.

        They are read again every few seconds, so that a key that is taken away is no longer believed; and when no known key
        fits (`newest`), so that a new one is believed at once.
        """
        from shared_lib.contracts.events.base import SERVICES

        if issuer not in SERVICES:
            raise TokenInvalid("unknown issuer")
        read_at, keys = self._public_keys.get(issuer, (-PUBLIC_KEYS_SECONDS, []))
        now = time.monotonic()
        if now - read_at >= (PUBLIC_KEYS_PAUSE_SECONDS if newest else PUBLIC_KEYS_SECONDS):
            keys = []
            for name in (f"{issuer}.pem", f"{issuer}.next.pem", f"{issuer}.previous.pem"):
                with suppress(OSError):
                    keys.append((self._public_keys_dir / name).read_text())
            self._public_keys[issuer] = (now, keys)
        return keys


@cache
def service_tokens() -> ServiceTokens:
    return ServiceTokens(
        settings.SERVICE_NAME, settings.SERVICE_PRIVATE_KEY_FILE, settings.SERVICE_PUBLIC_KEYS_DIR
    )
