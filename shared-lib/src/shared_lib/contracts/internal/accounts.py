"""svc-accounts.

GET  /internal/v1/users/{user_id}                         -> User            (svc-orders, svc-notifications)
GET  /internal/v1/users/{user_id}/addresses/{address_id}  -> UserAddress     (svc-orders)
POST /internal/v1/one-time-links  OneTimeLinkRequest      -> 201 OneTimeLink (svc-notifications)
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec

from shared_lib.contracts.address import Address
from shared_lib.contracts.moment import Moment


class User(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    email: str
    name: str
    language: str
    email_verified: bool
    is_active: bool


class UserAddress(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    address: Address


class OneTimeLinkRequest(msgspec.Struct, frozen=True, kw_only=True):
    user_id: UUID
    purpose: Literal["verify_email", "reset_password"]


class OneTimeLink(msgspec.Struct, frozen=True, kw_only=True):
    url: str
    expires_at: Moment
