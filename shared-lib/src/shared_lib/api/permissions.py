"""Who may use an endpoint. Ownership is not checked here: selectors only find what belongs to who asks."""

from __future__ import annotations

from typing import Any, cast

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from shared_lib.auth.users import Guest, TokenUser


def _requester(request: Request) -> TokenUser | Guest:
    return cast("TokenUser | Guest", request.user)


class IsSeller(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        return _requester(request).is_seller


class IsStaff(BasePermission):
    """Staff and admins."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return _requester(request).is_staff


class IsSellerOrStaff(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        return _requester(request).is_seller or _requester(request).is_staff


class IsAdmin(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        return _requester(request).is_admin
