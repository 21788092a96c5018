"""Transactions that a test can break on both sides of their commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from shared_lib.failpoints import failpoint


@contextmanager
def committing(name: str) -> Iterator[None]:
    """A transaction with the failpoints `NAME.before` (all is written) and `NAME.after` (and committed). Also a decorator.

    Inside another transaction it is a savepoint, and nothing is committed before the outer one.
    """
    with transaction.atomic():
        yield
        failpoint(f"{name}.before")
    failpoint(f"{name}.after")
