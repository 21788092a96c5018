"""Tells the gateways that answers of the catalog which they keep are old."""

from __future__ import annotations

import threading
import time
from functools import partial

import redis
import structlog
from django.db import transaction

from shared_lib.cache import redis_client

logger = structlog.get_logger(__name__)

VERSION_KEY = "gateway:cache:catalog"

_last = threading.local()


def renew_gateway_cache() -> None:
    """Raises the version of cached catalog answers once the current transaction has committed.

    A hint: without Redis the answers live on until their `s-maxage`. A batch of events in one transaction raises it once.
    """
    transaction.on_commit(partial(_raise_version, time.monotonic()), robust=True)


def _raise_version(asked_at: float) -> None:
    # This thread was inside the transaction from `asked_at` to its commit: what it raised since, it raised after the commit.
    if getattr(_last, "raised_at", 0.0) > asked_at:
        return
    raised_at = time.monotonic()
    try:
        redis_client().incr(VERSION_KEY)
    except redis.RedisError as error:
        logger.warning("gateway_cache_not_renewed", error=repr(error))
    _last.raised_at = raised_at
