"""Django's PostgreSQL backend, which looks at an idle connection before it is used again without asking the server.

A server that ended a connection has said so: its word lies in the socket's buffer. Only a socket that has something to read is
asked a question; any other is used as it is. So a restart of PostgreSQL costs no request its answer, and a request that finds
its connection well pays no round trip for it. What a network swallowed without a word, a question would wait for as long as the
statement itself.
"""

from __future__ import annotations

import select
from typing import Any

import psycopg
from django.db.backends.postgresql import base


def has_ended(connection: psycopg.Connection[Any]) -> bool:
    """True if the server has ended the session of this connection, on which no transaction is open."""
    if connection.closed:
        return True
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    if not waiting.poll(0):
        return False
    try:
        # It may be a notice only. The question reads all that is there.
        connection.execute("")
    except psycopg.Error:
        return True
    return False


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> psycopg.Connection[Any]:
        connection: psycopg.Connection[Any] = super().get_new_connection(conn_params)
        if (pool := self.pool) is None:
            return connection
        # As many as the pool has can have ended at once; one that it made after them is new.
        for _ in range(pool.max_size):
            if not has_ended(connection):
                break
            connection.close()
            pool.putconn(connection)
            connection = super().get_new_connection(conn_params)
        return connection

    def is_usable(self) -> bool:
        return not has_ended(self.connection)
