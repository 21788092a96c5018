"""The sandbox's state: one SQLite file.

Every answer that tells of a change is given after its transaction was committed to the write-ahead log, so a
killed process forgets nothing it has said. (`synchronous=NORMAL`: a power cut may cost the last moments; good
enough where no real money moves.) One process owns the file, by an exclusive lock.
"""

from __future__ import annotations

import fcntl
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from sandbox.exceptions import BadSettings

_SCHEMA = """
CREATE TABLE IF NOT EXISTS intents (
    id TEXT PRIMARY KEY,
    amount INTEGER NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN
        ('requires_payment_method', 'requires_action', 'processing', 'succeeded', 'canceled')),
    amount_refunded INTEGER NOT NULL DEFAULT 0 CHECK (amount_refunded BETWEEN 0 AND amount),
    payment_method TEXT,
    challenge TEXT UNIQUE,
    return_url TEXT,
    last_payment_error TEXT,
    metadata TEXT NOT NULL,
    settle_at REAL,
    created REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS intents_to_settle ON intents (settle_at) WHERE settle_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS intents_by_time ON intents (created);

CREATE TABLE IF NOT EXISTS refunds (
    id TEXT PRIMARY KEY,
    intent TEXT NOT NULL REFERENCES intents (id),
    amount INTEGER NOT NULL CHECK (amount > 0),
    status TEXT NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed')),
    reason TEXT NOT NULL,
    failure_reason TEXT,
    metadata TEXT NOT NULL,
    settle_at REAL,
    created REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS refunds_of_intent ON refunds (intent);
CREATE INDEX IF NOT EXISTS refunds_to_settle ON refunds (settle_at) WHERE settle_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS disputes (
    id TEXT PRIMARY KEY,
    intent TEXT NOT NULL UNIQUE REFERENCES intents (id),
    amount INTEGER NOT NULL CHECK (amount > 0),
    status TEXT NOT NULL CHECK (status IN ('needs_response', 'won', 'lost')),
    reason TEXT NOT NULL,
    created REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS answers (
    idempotency_key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    status INTEGER NOT NULL,
    body BLOB NOT NULL,
    created REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_by_time ON answers (created);

CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    body BLOB NOT NULL,
    created REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL,
    last_result TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_due ON events (due) WHERE due IS NOT NULL;
CREATE INDEX IF NOT EXISTS events_by_time ON events (created);

CREATE TABLE IF NOT EXISTS event_plans (
    event TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    created REAL NOT NULL,
    held INTEGER NOT NULL,
    double REAL,
    spoil TEXT NOT NULL,
    taken REAL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS event_plans_of_subject ON event_plans (subject, created);
CREATE TABLE IF NOT EXISTS fault_settings (id INTEGER PRIMARY KEY CHECK (id = 1), body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS fault_counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"""


def new_id(prefix: str) -> str:
    """An unguessable id such as `pi_...` that sorts roughly by time."""
    return f"{prefix}_{int(time.time() * 1000):011x}{secrets.token_hex(10)}"


class Store:
    """Owned by one thread. Reads see the transaction that is open, if one is."""

    def __init__(self, path: Path) -> None:
        """Raises `BadSettings` when the file cannot be used or another sandbox uses it."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = path.with_name(f"{path.name}.lock").open("ab")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.executescript(_SCHEMA)
        except BlockingIOError:
            raise BadSettings(
                f"Another sandbox payment provider uses {path} already; stop it first."
            ) from None
        except (OSError, sqlite3.Error) as error:
            raise BadSettings(f"The sandbox payment provider cannot use {path}: {error}.") from None

    def close(self) -> None:
        self._connection.close()
        self._lock.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; takes the write lock at once, so that what is read inside stays true."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def one(self, sql: str, *parameters: Any) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._connection.execute(sql, parameters).fetchone()
        return row

    def all(self, sql: str, *parameters: Any) -> list[sqlite3.Row]:
        return self._connection.execute(sql, parameters).fetchall()

    def change(self, sql: str, *parameters: Any) -> int:
        """Runs a writing statement and returns how many rows it changed."""
        return self._connection.execute(sql, parameters).rowcount

    def insert(self, table: str, **values: Any) -> None:
        columns = ", ".join(values)
        marks = ", ".join("?" * len(values))
        sql = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 - own names
        self._connection.execute(sql, tuple(values.values()))

    def add_event(self, kind: str, snapshot: dict[str, Any], *, due: float | None, result: str = "") -> str:
        """Queues one webhook; it exists exactly if the change it tells of does. Without `due` nobody delivers it."""
        event_id = new_id("evt")
        now = time.time()
        body = orjson.dumps(
            {
                "id": event_id,
                "object": "event",
                "type": kind,
                "created": int(now),
                "data": {"object": snapshot},
            }
        )
        self.insert("events", id=event_id, type=kind, body=body, created=now, due=due, last_result=result)
        return event_id

    def forget_before(self, moment: float) -> None:
        """Drops kept answers and delivered events that are older than `moment`."""
        self.change("DELETE FROM answers WHERE created < ?", moment)
        self.change("DELETE FROM events WHERE created < ? AND due IS NULL", moment)
        self.change("DELETE FROM event_plans WHERE created < ?", moment)
