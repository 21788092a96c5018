"""Calls to other services."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from shared_lib.contracts.internal.accounts import OneTimeLink, OneTimeLinkRequest, User
from shared_lib.contracts.internal.cart import CartContents
from shared_lib.exceptions import UpstreamProblem
from shared_lib.http import ServiceClient

_accounts = ServiceClient("svc-accounts")
_cart = ServiceClient("svc-cart")


def find_user(*, user_id: UUID) -> User | None:
    """Name, address and language of a user; None for one that is not there any more. Raises `ServiceUnavailable`."""
    try:
        return _accounts.get(f"/internal/v1/users/{user_id}", type=User)
    except UpstreamProblem as problem:
        if problem.upstream_status == 404:
            return None
        raise


def create_one_time_link(
    *, user_id: UUID, purpose: Literal["verify_email", "reset_password"]
) -> OneTimeLink | None:
    """A new link into the storefront; None if the account may not have one now. Raises `ServiceUnavailable`."""
    request = OneTimeLinkRequest(user_id=user_id, purpose=purpose)
    try:
        return _accounts.post("/internal/v1/one-time-links", json=request, type=OneTimeLink)
    except UpstreamProblem as problem:
        if problem.upstream_status in {404, 409}:
            return None
        raise


def get_cart(*, user_id: UUID) -> CartContents:
    """What a user's cart holds at this moment. Raises `ServiceUnavailable`."""
    return _cart.get(f"/internal/v1/carts/{user_id}/contents", type=CartContents)
