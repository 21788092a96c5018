"""The public keys of svc-accounts, fetched on demand and kept when svc-accounts is away."""

from __future__ import annotations

import threading
import time
from typing import Any, Protocol

import httpx
import redis
import structlog
from django.conf import settings
from django.core import signing
from django.utils.encoding import force_str
from jwt import PyJWK, PyJWKSet, PyJWTError

from shared_lib.cache.aside import redis_client

logger = structlog.get_logger(__name__)

_REFRESH_SECONDS = 300.0
_MIN_PAUSE_SECONDS = 5.0
#: How old a remembered set may be. Tokens live ten minutes, so after a longer absence of svc-accounts nobody has one; what is
#: longer than that only keeps alive a key that was withdrawn meanwhile.
REMEMBERED_SECONDS = 3600


class KeysUnavailable(Exception):
    """Whether a key is one of svc-accounts cannot be said: it does not answer, and no set in hand has the key."""


class Memory(Protocol):
    """Where a process finds the last set that another one of its service has fetched."""

    def keep(self, document: dict[str, Any]) -> None: ...
    def recall(self) -> dict[str, Any] | None: ...


class SignedMemory:
    """In Redis, signed with the service's SECRET_KEY: who can write to Redis cannot make a key count.

    What is older than `REMEMBERED_SECONDS`, or not signed by this service, is as good as nothing. A Redis that is away costs
    no more than what it would have remembered.
    """

    _SALT = "shared_lib.auth.jwks"

    def keep(self, document: dict[str, Any]) -> None:
        try:
            redis_client().set(self.key(), signing.dumps(document, salt=self._SALT), ex=REMEMBERED_SECONDS)
        except redis.RedisError as error:
            logger.warning("jwks_not_remembered", error=repr(error))

    def recall(self) -> dict[str, Any] | None:
        try:
            raw = redis_client().get(self.key())
            if raw is None:
                return None
            document: dict[str, Any] = signing.loads(
                force_str(raw), salt=self._SALT, max_age=REMEMBERED_SECONDS
            )
        except (redis.RedisError, signing.BadSignature, UnicodeDecodeError) as error:
            logger.warning("jwks_not_recalled", error=repr(error))
            return None
        return document

    def key(self) -> str:
        return f"{settings.SERVICE_NAME}:jwks"


class JWKSCache:
    """Keys by `kid`. Refreshed every five minutes and on an unknown `kid`, at most every five seconds.

    The last good set is kept for as long as the process lives, and in `memory` for one that starts while svc-accounts is away,
    so that a restart of either stops nobody.
    """

    def __init__(
        self, url: str, *, memory: Memory | None = None, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._url = url
        self._memory = memory
        self._client = httpx.Client(timeout=3.0, transport=transport)
        self._lock = threading.Lock()
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at = 0.0
        self._tried_at = 0.0
        self._failed = False

    def key(self, kid: str) -> PyJWK | None:
        """The key named `kid`, or None if svc-accounts does not know it. Raises `KeysUnavailable`."""
        now = time.monotonic()
        if kid not in self._keys:
            with self._lock:
                self._refresh(kid, now)
        elif now - self._fetched_at > _REFRESH_SECONDS and self._lock.acquire(blocking=False):
            # The key is at hand: one thread looks for news, nobody else waits for it.
            try:
                self._refresh(kid, now)
            finally:
                self._lock.release()
        found = self._keys.get(kid)
        if found is None and self._failed:
            raise KeysUnavailable(self._url)
        return found

    def _refresh(self, kid: str, now: float) -> None:
        """Unless another thread has done so since `now`, or a try is too short ago to repeat it."""
        fresh = now - self._fetched_at <= _REFRESH_SECONDS
        if (kid in self._keys and fresh) or self._tried_at > now:
            return
        # Only with keys in hand a try may pause the next one: without them every request is refused.
        if self._keys and self._tried_at and now - self._tried_at < _MIN_PAUSE_SECONDS:
            return
        try:
            document: dict[str, Any] = self._client.get(self._url).raise_for_status().json()
            self._keys = _keys_of(document)
            self._fetched_at, self._failed = now, False
            if self._memory is not None:
                self._memory.keep(document)
        except (httpx.HTTPError, ValueError) as error:
            self._failed = True
            logger.warning("jwks_unavailable", error=repr(error))
            if not self._keys and self._memory is not None and (remembered := self._memory.recall()):
                self._keys = _keys_of(remembered)
        self._tried_at = time.monotonic()


def _keys_of(document: dict[str, Any]) -> dict[str, PyJWK]:
    """Raises `ValueError` when this is no key set, or one without a usable key."""
    try:
        found = {key.key_id: key for key in PyJWKSet.from_dict(document).keys if key.key_id}
    except (PyJWTError, AttributeError, TypeError) as error:
        raise ValueError(f"it is no key set: {error!r}") from None
    if not found:
        raise ValueError("its keys have no names")
    return found
