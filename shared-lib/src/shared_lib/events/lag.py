"""How far outbox and inbox are behind, read from their tables: by the events process now and then, and by the web process
whenever it is asked for its metrics, since nobody else could tell of an events process that is not there.
"""

from __future__ import annotations

import math

from django.conf import settings
from django.db import DatabaseError, connection
from prometheus_client import Gauge
from psycopg_pool import PoolTimeout

PENDING = Gauge("shop_outbox_pending", "Rows of the outbox not yet published")
OLDEST_PENDING = Gauge(
    "shop_outbox_oldest_pending_seconds",
    "Age of the oldest row not yet published",
    multiprocess_mode="mostrecent",
)
WAITING = Gauge(
    "shop_inbox_waiting",
    "Events that failed or came too early and will be tried again",
    multiprocess_mode="mostrecent",
)
OLDEST_WAITING = Gauge(
    "shop_inbox_oldest_waiting_seconds",
    "Time since the oldest of those arrived",
    multiprocess_mode="mostrecent",
)
DEAD_LETTERS = Gauge(
    "shop_inbox_dead_letters",
    "Events that were given up and wait for a decision",
    multiprocess_mode="mostrecent",
)

OUTBOX = """
    SELECT count(*), coalesce(extract(epoch FROM statement_timestamp() - min(created_at)), 0)::float8
    FROM outbox_event WHERE published_at IS NULL
"""
INBOX = """
    SELECT count(*) FILTER (WHERE status = 'waiting'),
           coalesce(extract(epoch FROM statement_timestamp() - min(received_at) FILTER (WHERE status = 'waiting')), 0)::float8,
           count(*) FILTER (WHERE status = 'dead')
    FROM inbox_event WHERE status IN ('waiting', 'dead')
"""


def set_outbox(pending: int, oldest: float) -> None:
    PENDING.set(pending)
    OLDEST_PENDING.set(max(oldest, 0.0))


def measure_inbox() -> None:
    """Sets the gauges of the inbox. Raises what Django raises."""
    with connection.cursor() as cursor:
        cursor.execute(INBOX)
        waiting, oldest, dead = cursor.fetchone()
    WAITING.set(waiting)
    OLDEST_WAITING.set(max(oldest, 0.0))
    DEAD_LETTERS.set(dead)


def measure() -> None:
    """Sets all gauges of this module; to NaN where the database cannot be asked."""
    if "shared_lib.outbox" not in settings.INSTALLED_APPS:
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute(OUTBOX)
            set_outbox(*cursor.fetchone())
        measure_inbox()
    except (DatabaseError, PoolTimeout):
        for gauge in (PENDING, OLDEST_PENDING, WAITING, OLDEST_WAITING, DEAD_LETTERS):
            gauge.set(math.nan)
