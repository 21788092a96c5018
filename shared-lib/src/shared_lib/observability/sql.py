"""A span for each SQL statement and each COMMIT of sampled work: the text with its placeholders, never a value."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from shared_lib.observability import tracing

TEXT_CHARACTERS = 1000

# A common table expression may hide an INSERT.
_VERB = re.compile(r"^\s*(?!WITH\b)(\w+)|\b(?P<inner>INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
_TABLE = re.compile(r'\b(?:FROM|INTO|UPDATE|JOIN)\s+"?(?!unnest\b)([a-z]+_\w*)', re.IGNORECASE)


def trace_statements() -> None:
    """From now on every connection that Django opens is looked at."""
    connection_created.connect(_watch, dispatch_uid="shared_lib.observability.sql")


def _watch(connection: BaseDatabaseWrapper, **_: Any) -> None:
    # A connection of a pool is "created" whenever it is taken.
    if _statement in connection.execute_wrappers:
        return
    connection.execute_wrappers.append(_statement)
    commit = connection._commit  # type: ignore[attr-defined]

    def traced_commit() -> Any:
        with tracing.span("COMMIT", "client", _ATTRIBUTES):
            return commit()

    connection._commit = traced_commit  # type: ignore[attr-defined]


_ATTRIBUTES = {"db.system.name": "postgresql"}


def _statement(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
    if not tracing.sampled():
        return execute(sql, params, many, context)
    text = sql if isinstance(sql, str) else str(sql)
    attributes = {**_ATTRIBUTES, "db.query.text": text[:TEXT_CHARACTERS]}
    with tracing.span(name_of(text), "client", attributes):
        return execute(sql, params, many, context)


@lru_cache(maxsize=1024)
def name_of(text: str) -> str:
    """`SELECT orders_order`: the verb and the first table."""
    verb, table = _VERB.search(text), _TABLE.search(text)
    name = (verb[1] or verb["inner"]).upper() if verb else "SELECT"
    return f"{name} {table[1] if table else ''}".rstrip()
