"""Who may use an endpoint. Ownership is not checked here: selectors only find what belongs to who asks."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class IsSeller(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user.is_seller)


class IsStaff(BasePermission):
    """Staff and admins."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user.is_staff)


class IsSellerOrStaff(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user.is_seller or request.user.is_staff)


class IsAdmin(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user.is_admin)
