"""What platforms ask of a process: is it alive, can it serve, how is it doing."""

from __future__ import annotations

from typing import Any

import orjson
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from psycopg_pool import PoolTimeout

from shared_lib.contracts.events import CONTRACTS
from shared_lib.contracts.subscriptions import subscribed_types
from shared_lib.events import lag


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
    """Of this process, and of the service's outbox and inbox, which its events process might be too dead to tell."""
    lag.measure()
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)


def manifest(request: HttpRequest) -> HttpResponse:
    """What runs: version, contracts published and consumed. Holds nothing secret and is not reachable from outside."""
    service = settings.SERVICE_NAME
    document: dict[str, Any] = {
        "service": service,
        "version": settings.SERVICE_VERSION,
        "publishes": sorted(name for name, contract in CONTRACTS.items() if contract.producer == service),
        "consumes": sorted(subscribed_types(service)),
    }
    return HttpResponse(orjson.dumps(document), content_type="application/json")
