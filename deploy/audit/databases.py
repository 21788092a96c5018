"""The six databases, read-only, each as one moment: a repeatable-read snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import errors

from audit.model import SERVICES, Row

#: Rows of one round trip of a stream.
CHUNK = 20_000
_CONNECT_SECONDS = 10
#: Planner settings for few and large statements; a reader that is forgotten must not hold old rows for ever.
_OPTIONS = (
    "-c default_transaction_read_only=on -c jit=off -c work_mem=64MB"
    " -c statement_timeout=600000 -c idle_in_transaction_session_timeout=900000"
)


class Unreadable(Exception):
    """A database cannot be read; the text is a sentence."""


class Snapshots:
    """One open snapshot of each database. `now` is the latest of their clocks, in seconds since 1970."""

    def __init__(self, connections: Mapping[str, psycopg.Connection[Any]], now: float) -> None:
        self._connections = connections
        self.now = now
        self._streams = 0

    def rows(self, service: str, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """Everything that the statement gives, at once."""
        with _said(service):
            return self._connections[service].execute(sql, parameters).fetchall()

    def number(self, service: str, sql: str) -> int:
        [(found,)] = self.rows(service, sql)
        return int(found)

    def stream(self, service: str, sql: str) -> Iterator[Row]:
        """The rows of a statement, a chunk at a time; several streams of a database may be open at once."""
        self._streams += 1
        with _said(service), self._connections[service].cursor(name=f"audit_{self._streams}") as cursor:
            cursor.execute(sql)
            while rows := cursor.fetchmany(CHUNK):
                yield from rows


@contextmanager
def snapshots(urls: Mapping[str, str]) -> Iterator[Snapshots]:
    """Opens all six at nearly one moment. Raises `Unreadable`."""
    missing = [service for service in SERVICES if not urls.get(service)]
    if missing:
        raise Unreadable(f"There is no address of the database of {', '.join(missing)}.")
    connections: dict[str, psycopg.Connection[Any]] = {}
    try:
        for service in SERVICES:
            connections[service] = _connect(service, urls[service])
        moments = []
        for service, connection in connections.items():
            with _said(service):
                # The first statement takes the snapshot.
                row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
                moments.append(float(row[0]) if row else 0.0)
        yield Snapshots(connections, max(moments))
    finally:
        for connection in connections.values():
            with suppress(psycopg.Error):
                connection.close()


def _connect(service: str, url: str) -> psycopg.Connection[Any]:
    with _said(service):
        connection = psycopg.connect(
            url, options=_OPTIONS, connect_timeout=_CONNECT_SECONDS, application_name="audit"
        )
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    return connection


@contextmanager
def _said(service: str) -> Iterator[None]:
    """What goes wrong becomes a sentence that names the service, never its address, which holds a password."""
    try:
        yield
    except (errors.UndefinedTable, errors.UndefinedColumn) as error:
        raise Unreadable(
            f"The database of {service} does not have what this audit reads ({_first_line(error)}): its migrations are"
            " older or newer than the audit."
        ) from error
    except errors.InsufficientPrivilege as error:
        raise Unreadable(f"The role may not read the database of {service}: {_first_line(error)}.") from error
    except psycopg.Error as error:
        raise Unreadable(f"The database of {service} cannot be read: {_first_line(error)}.") from error


def _first_line(error: psycopg.Error) -> str:
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__
