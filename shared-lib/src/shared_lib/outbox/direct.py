"""A connection to PostgreSQL that is the relay's alone: it listens, holds the lock and does the relay's writes.

Because lock and writes share the connection, a relay that lost its leadership can no longer mark anything.
"""

from __future__ import annotations

from typing import Any

import psycopg
from django.conf import settings
from django.db import connections

# The server ends this session RELAY_SILENCE_MS (8 s) after its last statement and notices a dead peer within about 6 s, so
# that the lock of a leader that was killed, frozen or cut off is free for the next one within 10 s. The leader polls every
# second.
_SERVER_OPTIONS = (
    "-c statement_timeout=15000"
    " -c tcp_keepalives_idle=3 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3 -c tcp_user_timeout=5000"
)
_CLIENT_OPTIONS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 3,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
}
_DJANGO_ONLY = ("cursor_factory", "context", "prepare_threshold", "pool", "server_side_binding")


def connect() -> psycopg.Connection[Any]:
    """Opens a session of its own in autocommit, past Django's pool.

    Where DATABASES points at a pooler, the setting `DATABASE_DIRECT_URL` names the server itself. Raises
    `psycopg.OperationalError` when the server cannot be reached.
    """
    own = f"-c idle_session_timeout={settings.RELAY_SILENCE_MS} {_SERVER_OPTIONS}"
    direct_url = getattr(settings, "DATABASE_DIRECT_URL", "")
    if direct_url:
        return psycopg.connect(direct_url, autocommit=True, options=own, **_CLIENT_OPTIONS)
    params = dict(connections["default"].get_connection_params())
    for name in _DJANGO_ONLY:
        params.pop(name, None)
    options = f"{params.pop('options', '')} {own}".strip()
    params |= {**_CLIENT_OPTIONS, "application_name": "events relay", "options": options}
    return psycopg.connect(**params, autocommit=True)
