"""What Prometheus sees of a process's pool of database connections."""

from __future__ import annotations

from django.db import connection
from prometheus_client import Gauge

SIZE = Gauge("shop_db_pool_connections", "Connections that are open", multiprocess_mode="livesum")
AVAILABLE = Gauge("shop_db_pool_available", "Open connections that nobody uses", multiprocess_mode="livesum")
MOST = Gauge("shop_db_pool_most", "How many may be open", multiprocess_mode="livesum")
QUEUED = Gauge("shop_db_pool_waiting", "Threads that wait for a connection", multiprocess_mode="livesum")
WAITED = Gauge(
    "shop_db_pool_waited_seconds", "Time that threads have waited in all", multiprocess_mode="livesum"
)
FAILED = Gauge("shop_db_pool_failed", "Threads that waited in vain in all", multiprocess_mode="livesum")


def measure() -> None:
    """Sets the gauges; a process without a pool has zeros. Opens no pool."""
    pool = connection._connection_pools.get(connection.alias)  # type: ignore[attr-defined]
    if pool is None:
        return
    stats = pool.get_stats()
    SIZE.set(stats.get("pool_size", 0))
    AVAILABLE.set(stats.get("pool_available", 0))
    MOST.set(stats.get("pool_max", 0))
    QUEUED.set(stats.get("requests_waiting", 0))
    WAITED.set(stats.get("requests_wait_ms", 0) / 1000)
    FAILED.set(stats.get("requests_errors", 0))


_EVERY_SECONDS = 5.0
_measured_at = 0.0


def measure_now_and_then(moment: float) -> None:
    """After a request at `moment`: of several workers only one is asked by Prometheus, and the others have to tell too."""
    global _measured_at
    if moment - _measured_at >= _EVERY_SECONDS:
        _measured_at = moment
        measure()
