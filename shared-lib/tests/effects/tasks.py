from __future__ import annotations

import os
import time
from contextlib import suppress

from celery import shared_task
from effects.models import Effect

from shared_lib.jobs import SoftTimeLimitExceeded


@shared_task
def note(key: str) -> None:
    Effect.objects.create(event_key=key)


@shared_task
def note_slowly(key: str, seconds: float) -> None:
    Effect.objects.create(event_key=f"{key}:started")
    time.sleep(seconds)
    Effect.objects.create(event_key=key)


@shared_task
def fail(key: str) -> None:
    raise ValueError(key)


@shared_task(soft_time_limit=1)
def run_for_ever(key: str) -> None:
    try:
        while True:
            time.sleep(0.01)
    except SoftTimeLimitExceeded:
        Effect.objects.create(event_key=key)
        raise


@shared_task(soft_time_limit=1, time_limit=2)
def hang(key: str) -> None:
    """Swallows the soft limit, as code that is stuck outside Python would; a second run finds the mark of the first."""
    if Effect.objects.filter(event_key=key).exists():
        return
    Effect.objects.create(event_key=key)
    while True:
        with suppress(SoftTimeLimitExceeded):
            time.sleep(float(os.environ.get("HANG_SECONDS", "3600")))


@shared_task
def tick() -> None:
    Effect.objects.create(event_key="tick")
