"""Many people at once, without a password hash and a sign-in for each (0.2 s of a processor a piece).

Their rows are written into the table of users as svc-accounts would write them, with a password that nobody can use; their
access tokens are signed with the stack's own key. Everything they then do goes through the gateway like anybody's requests.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt

from faults.site import Site
from shared_lib.auth.keys import load_private_key, public_jwk
from shared_lib.auth.tokens import ACCESS_TOKEN_TYPE, ALGORITHM, SERVICE_TOKEN_TYPE
from shop.keys import JWT_KEY, private_key


@dataclass(frozen=True)
class Person:
    user_id: UUID
    email: str
    access: str


def access_token(site: Site, user_id: UUID, roles: tuple[str, ...] = ("customer",)) -> str:
    """As svc-accounts signs it, good for an hour."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "sub": str(user_id),
        "sid": str(uuid4()),
        "jti": uuid4().hex,
        "iat": now,
        "exp": now + 3600,
        "roles": list(roles),
        "iss": "svc-accounts",
        "aud": "shop",
    }
    key, kid = _signing_key(private_key(site.layout, JWT_KEY))
    return jwt.encode(claims, key, ALGORITHM, headers={"kid": kid, "typ": ACCESS_TOKEN_TYPE})


def service_token(site: Site, caller: str, callee: str) -> str:
    """As `caller` signs it for a call to `callee`, good for a minute."""
    now = int(time.time())
    key, _ = _signing_key(private_key(site.layout, caller))
    claims = {"iss": caller, "aud": callee, "iat": now, "exp": now + 60}
    return jwt.encode(claims, key, ALGORITHM, headers={"typ": SERVICE_TOKEN_TYPE})


@cache
def _signing_key(path: Path) -> tuple[Any, str]:
    key = load_private_key(path)
    return key, public_jwk(key.public_key())["kid"]


def people(site: Site, number: int) -> list[Person]:
    """So many new customers, known to svc-accounts."""
    from shared_lib.ids import uuid7

    made = []
    for _ in range(number):
        user_id = uuid7()
        email = f"crowd-{user_id.hex}@example.com"
        made.append(Person(user_id, email, access_token(site, user_id)))
    site.rows(
        "svc-accounts",
        "INSERT INTO accounts_user (id, created_at, updated_at, version, password, email, name, language, roles, is_active,"
        " email_verified) SELECT id, now(), now(), 1, '!', email, 'One of many', 'en', '{customer}', true, true"
        " FROM unnest(%s::uuid[], %s::text[]) AS one (id, email)",
        ([person.user_id for person in made], [person.email for person in made]),
    )
    return made


def staff_token(site: Site) -> str:
    return access_token(site, uuid4(), ("customer", "staff"))


def address_of(number: int) -> str:
    """An address of its own for each: one address may ask only so often."""
    return f"10.{number // 65536 % 256}.{number // 256 % 256}.{number % 256}"
