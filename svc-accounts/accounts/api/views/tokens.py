"""Signing in, staying signed in, signing out."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services
from accounts.api import cookies
from accounts.api.serializers import (
    CookieQuerySerializer,
    CredentialsSerializer,
    RefreshTokenSerializer,
    TokenPairSerializer,
)
from accounts.api.views.base import body, validated
from accounts.services import TokenPair
from shared_lib.api.openapi import problems
from shared_lib.api.views import PublicAPIView


def _answer(pair: TokenPair, *, as_cookie: bool) -> Response:
    content: dict[str, Any] = {"access": pair.access, "token_type": "Bearer", "expires_in": pair.expires_in}
    response = Response(content)
    if as_cookie:
        cookies.put(response, pair.refresh)
    else:
        content["refresh"] = pair.refresh
    return response


def _refresh_token(request: Request) -> tuple[str, bool]:
    """The token of the body, or else of the cookie, and whether it came as a cookie."""
    token = body(request, RefreshTokenSerializer).get("refresh")
    if token is not None:
        return token, False
    token = cookies.read(request)
    if token is None:
        raise ValidationError(
            {"refresh": ["Neither the body nor a cookie has a refresh token."]}, code="required"
        )
    return token, True


class TokenView(PublicAPIView):
    @extend_schema(
        operation_id="token_create",
        summary="Sign in",
        parameters=[CookieQuerySerializer],
        request=CredentialsSerializer,
        responses={200: TokenPairSerializer, **problems(401)},
    )
    def post(self, request: Request) -> Response:
        """A new session. 401 `invalid_credentials` for an unknown address, a wrong password and a closed account alike."""
        as_cookie = validated(CookieQuerySerializer, request.query_params)["cookie"]
        pair = services.sign_in(
            **body(request, CredentialsSerializer), user_agent=request.headers.get("User-Agent", "")
        )
        return _answer(pair, as_cookie=as_cookie)


class TokenRefreshView(PublicAPIView):
    @extend_schema(
        operation_id="token_refresh",
        summary="Stay signed in",
        parameters=[CookieQuerySerializer],
        request=RefreshTokenSerializer,
        responses={200: TokenPairSerializer, **problems(401)},
    )
    def post(self, request: Request) -> Response:
        """A new pair for a refresh token, which is spent by this.

        Within 10 seconds the spent one gives the same new refresh token again; later it ends the session with 401
        `refresh_reused`. 401 `refresh_invalid` when the session has ended. A token from the cookie is answered with a cookie.
        """
        as_cookie = validated(CookieQuerySerializer, request.query_params)["cookie"]
        token, came_as_cookie = _refresh_token(request)
        return _answer(services.refresh(token=token), as_cookie=as_cookie or came_as_cookie)


class TokenRevokeView(PublicAPIView):
    @extend_schema(
        operation_id="token_revoke",
        summary="Sign out",
        request=RefreshTokenSerializer,
        responses={204: OpenApiResponse(description="The session has ended, or there was none.")},
    )
    def post(self, request: Request) -> Response:
        """Ends the session of a refresh token; its access tokens stop working at the gateway within 5 seconds."""
        token, _ = _refresh_token(request)
        services.sign_out(token=token)
        response = Response(status=204)
        if cookies.read(request) is not None:
            cookies.drop(response)
        return response
