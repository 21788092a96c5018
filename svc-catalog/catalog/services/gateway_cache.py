"""Tells the gateways which answers of the catalog that they keep are old.

    gateway:cache:catalog            grows when lists or categories may have changed
    gateway:cache:products           sorted set: id (hex digits) or slug of a product, by the number of its last change
    gateway:cache:products:version   the highest of these numbers
    gateway:cache:sold-out           variants with nothing available, to see when that changes

Read by gateway/lua/shop/cache.lua.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from string import hexdigits
from uuid import UUID

import redis
import structlog
from django.db import transaction

from catalog.models import Product
from shared_lib.cache import redis_client

logger = structlog.get_logger(__name__)

PREFIX = "gateway:cache"
#: Members that the sorted set keeps; a gateway that fell further behind discards everything.
KEPT = 10_000

# One step, so that no gateway sees the new version without the members that belong to it.
_RENEW = """
local lists = ARGV[1] == "1"
local names = tonumber(ARGV[2])
for index = 4 + names, #ARGV, 2 do
  local moved
  if ARGV[index + 1] == "0" then
    moved = redis.call("SADD", KEYS[4], ARGV[index])
  else
    moved = redis.call("SREM", KEYS[4], ARGV[index])
  end
  lists = lists or moved == 1
end
if lists then
  redis.call("INCR", KEYS[1])
end
if names > 0 then
  local version = redis.call("INCRBY", KEYS[3], names)
  for index = 4, 3 + names do
    redis.call("ZADD", KEYS[2], version, ARGV[index])
  end
  redis.call("ZREMRANGEBYRANK", KEYS[2], 0, -tonumber(ARGV[3]) - 1)
end
"""


@dataclass
class _Changes:
    products: set[UUID] = field(default_factory=set)
    available: dict[UUID, int] = field(default_factory=dict)
    lists: bool = False


class _Waiting(threading.local):
    changes: _Changes | None = None


_waiting = _Waiting()


def renew_gateway_cache(*, product_id: UUID, variant_id: UUID | None = None, available: int = 0) -> None:
    """Once the current transaction has committed, gateways ask anew for the product, and for lists if they may show it
    otherwise: always, but when only the stock of `variant_id` changed to `available` and went neither to nor from nothing.

    A hint: without Redis the answers live on until their `s-maxage`, and the next change tells of these too. Everything of
    one transaction is told at once.
    """
    changes = _waiting.changes
    if changes is None:
        changes = _waiting.changes = _Changes()
    changes.products.add(product_id)
    if variant_id is None:
        changes.lists = True
    else:
        changes.available[variant_id] = available
    transaction.on_commit(_tell, robust=True)


def _tell() -> None:
    # What a transaction that was rolled back left here is told with the next one: too much, but never too little. The first
    # of the calls that a transaction registered tells everything; all were made before it committed.
    changes, _waiting.changes = _waiting.changes, None
    if changes is None:
        return
    slugs = Product.objects.filter(pk__in=changes.products).values_list("slug", flat=True)
    names = [product.hex for product in changes.products] + [_name(slug) for slug in slugs]
    stock = [value for variant, count in changes.available.items() for value in (variant.hex, int(count > 0))]
    keys = [f"{PREFIX}:catalog", f"{PREFIX}:products", f"{PREFIX}:products:version", f"{PREFIX}:sold-out"]
    try:
        redis_client().eval(_RENEW, len(keys), *keys, int(changes.lists), len(names), KEPT, *names, *stock)
    except redis.RedisError as error:
        logger.warning("gateway_cache_not_renewed", error=repr(error))
        _waiting.changes = changes


def _name(slug: str) -> str:
    """A slug that could be an id is asked for like one."""
    digits = slug.replace("-", "")
    return digits if len(slug) == 36 and len(digits) == 32 and not set(digits) - set(hexdigits) else slug
