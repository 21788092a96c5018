"""The public keys of svc-accounts, fetched on demand and kept when svc-accounts is away."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx
import structlog
from jwt import PyJWK, PyJWKSet
from jwt.exceptions import PyJWKSetError

logger = structlog.get_logger(__name__)

_REFRESH_SECONDS = 300.0
_MIN_PAUSE_SECONDS = 5.0


class KeysUnavailable(Exception):
    """No key set could ever be fetched."""


class JWKSCache:
    """Keys by `kid`. Refreshed every five minutes and on an unknown `kid`, at most every five seconds.

    The last good set is kept for as long as the process lives, so that a restart of svc-accounts stops nobody.
    """

    def __init__(self, url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self._url = url
        self._client = httpx.Client(timeout=3.0, transport=transport)
        self._lock = threading.Lock()
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at = 0.0
        self._tried_at = 0.0

    def key(self, kid: str) -> PyJWK | None:
        """The key named `kid`, or None if svc-accounts does not know it. Raises `KeysUnavailable`."""
        now = time.monotonic()
        if kid not in self._keys or now - self._fetched_at > _REFRESH_SECONDS:
            self._refresh(kid, now)
        if not self._keys:
            raise KeysUnavailable(self._url)
        return self._keys.get(kid)

    def _refresh(self, kid: str, now: float) -> None:
        with self._lock:
            fresh = now - self._fetched_at <= _REFRESH_SECONDS
            if (kid in self._keys and fresh) or (
                self._tried_at and now - self._tried_at < _MIN_PAUSE_SECONDS
            ):
                return
            try:
                document: dict[str, Any] = self._client.get(self._url).raise_for_status().json()
                keys = {key.key_id: key for key in PyJWKSet.from_dict(document).keys if key.key_id}
            except (httpx.HTTPError, ValueError, PyJWKSetError) as error:
                # Only a failure with keys in hand may pause the next try: without keys every request would be refused.
                self._tried_at = now if self._keys else 0.0
                logger.warning("jwks_unavailable", error=repr(error))
                return
            self._tried_at = now
            self._keys = keys
            self._fetched_at = now
