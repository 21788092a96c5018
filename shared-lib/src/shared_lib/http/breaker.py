"""A circuit breaker: a callee that keeps failing is left alone for a moment instead of being waited for."""

from __future__ import annotations

import threading
import time


class CircuitBreaker:
    """Opens after `threshold` failures in a row; after `pause` seconds lets one call through to try.

    Thread-safe. Time is monotonic seconds.
    """

    def __init__(self, *, threshold: int = 10, pause: float = 1.0) -> None:
        self._threshold = threshold
        self._pause = pause
        self._lock = threading.Lock()
        self._failures = 0
        self._retry_at = 0.0

    def allows(self) -> bool:
        with self._lock:
            if self._failures < self._threshold:
                return True
            now = time.monotonic()
            if now < self._retry_at:
                return False
            self._retry_at = now + self._pause
            return True

    def succeeded(self) -> None:
        with self._lock:
            self._failures = 0

    def failed(self) -> None:
        with self._lock:
            self._failures += 1
            self._retry_at = time.monotonic() + self._pause
