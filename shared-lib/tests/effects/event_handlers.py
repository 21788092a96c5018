"""Handlers of svc-catalog's row in the table of subscriptions, which the tests borrow."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from django.db import connection
from effects.models import Child, Counter, Effect

from shared_lib.contracts.events import (
    Event,
    OrderCancelled,
    OrderConfirmed,
    OrderReturnReceived,
    ProductArchived,
    ProductPublished,
    ProductUpdated,
    StockChanged,
)
from shared_lib.contracts.subscriptions import SUBSCRIPTIONS
from shared_lib.events import EventHandlers, TooEarly

# Tests change what one event type does; a process that tests start is told by the environment.
behaviours: dict[type[Event], Callable[[Any], None]] = {}


def count(event: StockChanged) -> None:
    Effect.objects.create(event_key=f"{event.variant_id}:{event.version}")


def fail(event: Any) -> None:
    count(event)
    raise ValueError("this handler fails")


def fail_in_database(event: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")


def too_early(event: Any) -> None:
    raise TooEarly("the product is not here yet")


def kill_the_process(event: Any) -> None:
    if event.available == 666:
        os.kill(os.getpid(), signal.SIGKILL)
    count(event)


def break_at_commit(event: Any) -> None:
    Child.objects.create(counter_id="nobody")


def lock_two(event: StockChanged) -> None:
    """Locks the counters named by `available` (ab or ba) one after the other, with time for another to come between."""
    Counter.objects.select_for_update().get(name=f"c{event.available}")
    time.sleep(0.05)
    count(event)


def on_stock_changed(event: StockChanged) -> None:
    behaviours.get(StockChanged, _DEFAULTS[os.environ.get("STOCK_CHANGED", "count")])(event)


def ignore(event: Any) -> None:
    behaviours.get(type(event), lambda event: None)(event)


_DEFAULTS: dict[str, Callable[[Any], None]] = {"count": count, "kill": kill_the_process, "fail": fail}

EVENT_HANDLERS: EventHandlers = {
    ProductPublished: ignore,
    ProductUpdated: ignore,
    ProductArchived: ignore,
    StockChanged: on_stock_changed,
    OrderConfirmed: ignore,
    OrderCancelled: ignore,
    OrderReturnReceived: ignore,
}

assert set(EVENT_HANDLERS) == set(SUBSCRIPTIONS["svc-catalog"])
