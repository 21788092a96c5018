"""Clients of the service under test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from rest_framework.test import APIClient

from shared_lib.ids import uuid7
from shared_lib.testing.tokens import TestJWKS, service_token


class ShopClient(APIClient):
    """An `APIClient` that keeps the identity it was made with in `user_id` and `token`."""

    user_id: UUID | None = None
    token: str = ""


class Api:
    """Makes clients of the service under test."""

    def __init__(self, jwks: TestJWKS) -> None:
        self._jwks = jwks

    def anonymous(self) -> ShopClient:
        return ShopClient(raise_request_exception=False)

    def as_user(
        self,
        user_id: UUID | None = None,
        *,
        roles: Iterable[str] = ("customer",),
        claims: Mapping[str, Any] | None = None,
    ) -> ShopClient:
        """A client with a real access token of `user_id` (a new user by default). `claims` replace some; None removes one."""
        client = self.anonymous()
        client.user_id = user_id or uuid7()
        client.token = self._jwks.access_token(user_id=client.user_id, roles=roles, claims=claims)
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {client.token}")
        return client


def internal_client(caller: str, audience: str) -> ShopClient:
    """A client that calls `audience` as the service `caller`."""
    client = ShopClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {service_token(caller, audience)}")
    return client
