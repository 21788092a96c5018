"""Looks at the statements that the services send, in every test: writes belong to an explicit transaction, locks to an order."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from django.db import connection

_TESTS = str(Path(__file__).parent)
_SERVICES = str(Path(__file__).parents[1] / "orders" / "services")
_WRITE = re.compile(r'(?:UPDATE|DELETE FROM|INSERT INTO) "?(orders_\w+)')
_LOCK = re.compile(r'SELECT .*? FROM "(orders_\w+)".* FOR UPDATE', re.DOTALL)
_RANKS = {"orders_checkoutsaga": 1, "orders_order": 2}
_REST = 3


class WriteOutsideTransaction(AssertionError):
    """Its commit has no failpoints."""


class OutOfOrder(AssertionError):
    """See `orders.services.locks`."""


class Watch:
    """An execute wrapper of one connection."""

    def __init__(self) -> None:
        self._transaction: object = None
        self._taken: dict[int, str] = {}
        self._everything = False

    @contextmanager
    def as_service(self) -> Iterator[None]:
        """Statements of the test itself count as well."""
        self._everything = True
        try:
            yield
        finally:
            self._everything = False

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        found = _WRITE.match(sql) or _LOCK.match(sql)
        if found is not None and (self._everything or _sent_by_a_service()):
            self._look(found[1], is_write=found.re is _WRITE)
        return execute(sql, params, many, context)

    def _look(self, table: str, *, is_write: bool) -> None:
        own = [block for block in connection.atomic_blocks if not getattr(block, "_from_testcase", False)]
        if not own:
            if is_write:
                raise WriteOutsideTransaction(table)
            return
        if own[0] is not self._transaction:
            self._transaction, self._taken = own[0], {}
        rank = _RANKS.get(table, _REST)
        later = [name for taken, name in self._taken.items() if taken > rank]
        if later and rank not in self._taken:
            raise OutOfOrder(f"{table} after {later[0]}")
        self._taken.setdefault(rank, table)


def _sent_by_a_service() -> bool:
    """Whether a service asked for it, and not a function of a test that a service has called."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith((_SERVICES, _TESTS)):
            return frame.f_code.co_filename.startswith(_SERVICES)
        frame = frame.f_back
    return False
