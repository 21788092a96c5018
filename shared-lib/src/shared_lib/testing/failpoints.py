"""Failpoints in tests that run in the process of the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shared_lib import failpoints


@contextmanager
def armed(name: str, action: str | Callable[[], None] = "raise") -> Iterator[None]:
    """Arms a point once, for every thread of this process: with `raise`, `sleep SECONDS`, or a function of the test.

    A block that ends normally without having reached the point fails the test. Raises `UndeclaredFailpoint`.
    """
    failpoints._check(name)
    failpoints._here[name] = failpoints.action_of(action) if isinstance(action, str) else action
    try:
        yield
        assert name not in failpoints._here, f"nothing reached the failpoint {name}"
    finally:
        failpoints._here.pop(name, None)
