"""The deny list in Redis, which the gateway polls: its form is a contract with the gateway.

`gateway:revoked` is a sorted set of `sid:SESSION` and `sub:USER:ISSUED_BEFORE` (unix seconds), scored with the unix time at
which the entry may be forgotten; `gateway:revoked:version` changes with every write.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from datetime import datetime

from accounts.models import Revocation
from shared_lib.cache import redis_client

ENTRIES = "gateway:revoked"
VERSION = "gateway:revoked:version"


def member(row: Revocation) -> str:
    if row.issued_before is None:
        return f"sid:{row.session_id}"
    return f"sub:{row.user_id}:{int(row.issued_before.timestamp())}"


def add(rows: Iterable[Revocation]) -> None:
    """Writes entries; writing one twice is harmless. Raises `redis.exceptions.RedisError`."""
    scores = {member(row): math.ceil(row.expires_at.timestamp()) for row in rows}
    if not scores:
        return
    with redis_client().pipeline(transaction=True) as pipe:
        pipe.zadd(ENTRIES, scores)
        # A version that starts at 1 again after Redis lost everything could be one that a gateway has seen.
        pipe.set(VERSION, time.time_ns() // 1_000_000, nx=True)
        pipe.incr(VERSION)
        pipe.execute()


def drop_expired_and_count(now: datetime) -> int:
    """How many entries are still needed by `now`; the others are gone. Raises `redis.exceptions.RedisError`."""
    with redis_client().pipeline(transaction=True) as pipe:
        pipe.zremrangebyscore(ENTRIES, "-inf", int(now.timestamp()) - 1)
        pipe.zcount(ENTRIES, now.timestamp(), "+inf")
        counted: int = pipe.execute()[1]
    return counted
