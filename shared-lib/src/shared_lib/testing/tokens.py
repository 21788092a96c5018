"""Real tokens, signed by the keys of the test process."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import jwt
from django.conf import settings

from shared_lib.auth.keys import load_private_key, public_jwk
from shared_lib.auth.tokens import ServiceTokens
from shared_lib.ids import uuid7
from shared_lib.testing.environment import keys_dir


class TestJWKS:
    """Stands where the key set of svc-accounts stands: knows the one key of the test process."""

    __test__ = False

    def __init__(self) -> None:
        self._private = load_private_key(keys_dir() / "jwt.pem")
        self.jwk = public_jwk(self._private.public_key())
        self._verifying = jwt.PyJWK(self.jwk)

    def key(self, kid: str) -> jwt.PyJWK | None:
        return self._verifying if kid == self.jwk["kid"] else None

    def access_token(
        self, *, user_id: UUID, roles: Iterable[str], claims: Mapping[str, Any] | None = None
    ) -> str:
        """An access token as svc-accounts issues it; `claims` replace some; a None removes one."""
        now = int(time.time())
        payload = {
            "iss": settings.JWT_ISSUER,
            "aud": settings.JWT_AUDIENCE,
            "sub": str(user_id),
            "sid": str(uuid7()),
            "jti": str(uuid7()),
            "iat": now,
            "exp": now + 600,
            "roles": list(roles),
            **(claims or {}),
        }
        payload = {name: value for name, value in payload.items() if value is not None}
        return jwt.encode(payload, self._private, "ES256", headers={"kid": self.jwk["kid"], "typ": "at+jwt"})


def service_token(caller: str, audience: str) -> str:
    return ServiceTokens(caller, keys_dir() / f"{caller}.pem", keys_dir() / "public").token_for(audience)
