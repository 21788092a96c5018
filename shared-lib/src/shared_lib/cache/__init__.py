"""Cache-aside in Redis."""

from shared_lib.cache.aside import cached, invalidate, redis_client

__all__ = ["cached", "invalidate", "redis_client"]
