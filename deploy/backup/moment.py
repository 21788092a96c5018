"""One moment of several databases at which no transaction that writes is open in any of them.

What was committed before it is in the snapshots, what comes later is not: together they are the state that a power cut at that
moment would have left. Writers wait meanwhile and notice nothing but that; readers do not even wait.
"""

import random
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql

#: Below PostgreSQL's deadlock_timeout (1 s): of two that wait for each other it is we who give up, never a service.
LOCK_MS = 400
PATIENCE_SECONDS = 60.0

Connection = psycopg.Connection[Any]


class NeverQuiet(Exception):
    """The text is a sentence."""


@dataclass(frozen=True)
class Moment:
    """`snapshots` by database, good while the context is open; writers `stood_still` for so many seconds."""

    snapshots: dict[str, str]
    stood_still: float


@contextmanager
def one_moment(urls: Mapping[str, str], *, patience: float = PATIENCE_SECONDS) -> Iterator[Moment]:
    """Opens the moment as a role that may lock every table. Raises `NeverQuiet`, or psycopg's errors."""
    with ExitStack() as stack:
        lockers = {name: stack.enter_context(psycopg.connect(url)) for name, url in urls.items()}
        holders = {
            name: stack.enter_context(psycopg.connect(url, autocommit=True)) for name, url in urls.items()
        }
        for holder in holders.values():
            # So that nothing but the snapshot is left to do while the others wait.
            holder.execute("SELECT 1")
        pool = stack.enter_context(ThreadPoolExecutor(len(urls)))
        deadline = time.monotonic() + patience
        while True:
            began = time.monotonic()
            try:
                quiet = all(pool.map(_lock, lockers.values()))
                if quiet:
                    snapshots = dict(zip(holders, pool.map(_export, holders.values()), strict=True))
            finally:
                for locker in lockers.values():
                    locker.rollback()
            if quiet:
                break
            if time.monotonic() > deadline:
                raise NeverQuiet(
                    f"In {patience:.0f} s there was no moment without a transaction that writes for longer than"
                    f" {LOCK_MS} ms: end what writes for so long, then try again."
                )
            time.sleep(random.uniform(0.05, 0.3))
        yield Moment(snapshots, time.monotonic() - began)


def _lock(connection: Connection) -> bool:
    """Waits for the writers of every table and keeps new ones waiting; False where one writes for too long."""
    tables = connection.execute(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"
    ).fetchall()
    if not tables:
        return True
    names = sql.SQL(", ").join(sql.Identifier(*table) for table in tables)
    try:
        connection.execute(f"SET LOCAL lock_timeout = {LOCK_MS}; SET LOCAL statement_timeout = {2 * LOCK_MS}")
        connection.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(names))
    except (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected):
        return False
    return True


def _export(connection: Connection) -> str:
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    row = connection.execute("SELECT pg_export_snapshot()").fetchone()
    if row is None:
        raise AssertionError
    return str(row[0])
