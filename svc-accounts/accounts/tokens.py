"""Access tokens: SimpleJWT's, with the header and the claims of the public contract."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Self
from uuid import UUID

import jwt
from django.conf import settings
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken as SimpleJWTAccessToken

from accounts.keys import ALGORITHM, key_set
from accounts.models import User
from shared_lib.auth.tokens import ACCESS_TOKEN_TYPE


class AccessTokenBackend(TokenBackend):
    """Signs with the current key and names it in the header (`kid`), beside the type of the token (`typ`, RFC 9068)."""

    def encode(self, payload: dict[str, Any]) -> str:
        keys = key_set()
        return jwt.encode(
            {**payload, "iss": self.issuer, "aud": self.audience},
            keys.private_key,
            algorithm=self.algorithm,
            headers={"kid": keys.kid, "typ": ACCESS_TOKEN_TYPE},
        )


@cache
def _backend() -> AccessTokenBackend:
    return AccessTokenBackend(ALGORITHM, issuer=settings.JWT_ISSUER, audience=settings.JWT_AUDIENCE)


class AccessToken(SimpleJWTAccessToken):
    """A new access token; `str()` signs it. Tokens are verified by `shared_lib.auth`, here as in every other service."""

    lifetime = timedelta(seconds=settings.ACCESS_TOKEN_SECONDS)

    @classmethod
    def for_session(cls, *, user: User, session_id: UUID, issued_at: datetime) -> Self:
        """`issued_at` is not later than the reading of `user`: whoever changes the roles then denies what is older."""
        token = cls.for_user(user)
        del token[api_settings.TOKEN_TYPE_CLAIM]  # the header says it
        token.set_iat(at_time=issued_at)
        token.set_exp(from_time=issued_at)
        token["sid"] = str(session_id)
        token["roles"] = _sorted(user.roles)
        return token

    def get_token_backend(self) -> TokenBackend:
        return _backend()


def _sorted(roles: Iterable[str]) -> list[str]:
    return sorted(set(roles))
