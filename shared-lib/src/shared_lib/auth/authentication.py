"""DRF authentication: the bearer of an access token, or another service."""

from __future__ import annotations

from typing import Any

import structlog
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTStatelessUserAuthentication

from shared_lib.auth.jwks import KeysUnavailable
from shared_lib.auth.tokens import TokenInvalid, service_tokens, verify_access_token
from shared_lib.auth.users import ServiceCaller, TokenUser
from shared_lib.exceptions import ServiceUnavailable


class InvalidToken(AuthenticationFailed):
    """401 with `WWW-Authenticate: Bearer error="invalid_token"`."""

    default_code = "invalid_token"
    default_detail = "The access token is not valid."


class AccessTokenAuthentication(JWTStatelessUserAuthentication):
    """Stateless: the signature and the claims are all there is; no database is asked.

    The gateway has checked the same token before. A service checks again, since the edge is not trusted blindly.
    """

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        raw = request.META.get("HTTP_AUTHORIZATION")
        if raw is None:
            return None
        scheme, _, token = raw.partition(" ")
        if scheme.lower() != "bearer" or not token or token != token.strip():
            raise InvalidToken
        return self.get_user(self.get_validated_token(token)), token

    def get_validated_token(self, raw_token: Any) -> Any:
        try:
            return verify_access_token(raw_token)
        except TokenInvalid:
            raise InvalidToken from None
        except KeysUnavailable:
            raise ServiceUnavailable("Access tokens cannot be checked at the moment.") from None

    def get_user(self, validated_token: Any) -> Any:
        try:
            user = TokenUser(validated_token)
        except (KeyError, ValueError, TypeError):
            raise InvalidToken from None
        structlog.contextvars.bind_contextvars(user_id=str(user.id))
        return user

    def authenticate_header(self, request: Request) -> str:
        if request.META.get("HTTP_AUTHORIZATION") is None:
            return "Bearer"
        return 'Bearer error="invalid_token"'


class ServiceTokenAuthentication(BaseAuthentication):
    """The caller is another service, named by the `iss` of a token that its own private key signed."""

    def authenticate(self, request: Request) -> tuple[ServiceCaller, str] | None:
        scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        try:
            caller = service_tokens().verify(token)
        except TokenInvalid:
            raise InvalidToken("The service token is not valid.") from None
        structlog.contextvars.bind_contextvars(caller=caller)
        return ServiceCaller(caller), token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
