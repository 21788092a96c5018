"""Who sends a request. Nothing here touches a database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

ROLES = frozenset({"customer", "seller", "staff", "admin"})


class TokenUser:
    """The bearer of a verified access token. `admin` includes `staff`."""

    is_authenticated = True
    is_anonymous = False
    is_active = True

    def __init__(self, claims: Mapping[str, Any]) -> None:
        """Raises `ValueError` or `KeyError` when a claim that every access token has is missing or malformed."""
        self.id = UUID(claims["sub"])
        self.session_id = UUID(claims["sid"])
        self.roles = frozenset(claims["roles"]) & ROLES
        self.issued_at = int(claims["iat"])

    @property
    def pk(self) -> UUID:
        return self.id

    @property
    def is_admin(self) -> bool:
        return "admin" in self.roles

    @property
    def is_staff(self) -> bool:
        return bool(self.roles & {"staff", "admin"})

    @property
    def is_seller(self) -> bool:
        return "seller" in self.roles

    def __str__(self) -> str:
        return str(self.id)


class Guest:
    """Nobody in particular."""

    id = None
    pk = None
    session_id = None
    roles: frozenset[str] = frozenset()
    is_authenticated = False
    is_anonymous = True
    is_active = False
    is_admin = is_staff = is_seller = False

    def __str__(self) -> str:
        return "guest"


class ServiceCaller:
    """Another service, named by a verified service token (`svc-orders`)."""

    is_authenticated = True
    is_anonymous = False
    is_active = True
    roles: frozenset[str] = frozenset()
    is_admin = is_staff = is_seller = False

    def __init__(self, name: str) -> None:
        self.id = name
        self.pk = name
        self.name = name

    def __str__(self) -> str:
        return self.name
