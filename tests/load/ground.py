"""The machine's own measure for what has to be durable: how fast PostgreSQL commits when one connection does nothing else."""

from __future__ import annotations

import time

import psycopg


def commits_a_second(database: str, seconds: float = 1.0) -> float:
    """Transactions of 300 bytes each, one after another, each on disk before the next (if the server syncs at all).

    Nothing is left behind: what is written is a message in the log that nobody reads. `database` is a URL.
    """
    count, began = 0, time.monotonic()
    with psycopg.connect(database, autocommit=True) as connection:
        while time.monotonic() - began < seconds:
            connection.execute("SELECT pg_logical_emit_message(true, 'bench', repeat('x', 300))")
            count += 1
    return count / (time.monotonic() - began)
