"""What platforms ask of a process: is it alive, can it serve, how is it doing."""

from __future__ import annotations

from functools import cache

import orjson
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST
from psycopg_pool import PoolTimeout

from shared_lib.api.routes import public_operations
from shared_lib.contracts import manifest as contracts_manifest
from shared_lib.events import lag
from shared_lib.jobs.measures import measure_rows
from shared_lib.observability import expose


def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse(b"ok\n", content_type="text/plain")


def readyz(request: HttpRequest) -> HttpResponse:
    """The process can serve: its database answers. The brokers are not asked, since requests go on without them."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, PoolTimeout):
        return HttpResponse(b"database unavailable\n", status=503, content_type="text/plain")
    return HttpResponse(b"ok\n", content_type="text/plain")


def metrics(request: HttpRequest) -> HttpResponse:
    """Of this process, and of the service's outbox, inbox and jobs, of which its other processes might be too dead to tell."""
    lag.measure()
    measure_rows()
    return HttpResponse(expose.metrics(), content_type=CONTENT_TYPE_LATEST)


def manifest(request: HttpRequest) -> HttpResponse:
    """What runs: version, contracts published, consumed, served and called, see `shared_lib.contracts.manifest`.

    Holds nothing secret and is not reachable from outside.
    """
    return HttpResponse(manifest_text(), content_type="application/json")


@cache
def manifest_text() -> bytes:
    """The manifest as JSON; it cannot change while the process runs."""
    return orjson.dumps(
        contracts_manifest.document(
            settings.SERVICE_NAME,
            version=settings.SERVICE_VERSION,
            package=settings.SERVICE_PACKAGE,
            public=public_operations(),
        )
    )
