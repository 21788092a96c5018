"""Cache-aside with protection against stampedes. A cache that is away costs time, never an answer."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import orjson
import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = structlog.get_logger(__name__)

_BETA = 1.0


@cache
def redis_client() -> redis.Redis:
    """The Redis of this process. Calls raise `redis.RedisError` after half a second without an answer.

    A connection that broke while it lay idle is replaced at once. The library itself would try three times, with pauses of
    seconds: longer than anybody waits for a cache.
    """
    client: redis.Redis = redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=0.5, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), 1)
    )
    return client


def _key(key: str) -> str:
    return f"{settings.SERVICE_NAME}:cache:{key}"


def cached(key: str, ttl: float, build: Callable[[], Any]) -> Any:
    """The JSON value under `key`, built by `build()` when it is missing.

    Near the end of its `ttl` (seconds) a value is rebuilt early with a probability that grows with the time that building
    took (Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention, 2015), so that many readers
    do not rebuild it at one moment.
    """
    try:
        raw = redis_client().get(_key(key))
    except redis.RedisError as error:
        logger.warning("cache_unavailable", error=repr(error))
        return build()
    if raw is not None:
        expires_at, cost, value = orjson.loads(raw)
        if time.time() - cost * _BETA * math.log(1.0 - random.random()) < expires_at:
            return value
    started = time.time()
    value = build()
    finished = time.time()
    entry = orjson.dumps([finished + ttl, finished - started, value])
    try:
        redis_client().set(_key(key), entry, px=max(1, int(ttl * 1000)))
    except redis.RedisError as error:
        logger.warning("cache_unavailable", error=repr(error))
    return value


def invalidate(*keys: str) -> None:
    """Forgets `keys`. A cache that is away is left to its TTLs."""
    try:
        redis_client().delete(*(_key(key) for key in keys))
    except redis.RedisError as error:
        logger.warning("cache_unavailable", error=repr(error))
