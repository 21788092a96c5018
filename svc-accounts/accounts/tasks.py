"""Celery entries: each calls one service function."""

from __future__ import annotations

from typing import Any

import msgspec
from celery import shared_task

from accounts import services
from shared_lib.contracts.events import SessionRevoked

MAX_BATCHES = 50  # what is left waits for the next run


@shared_task
def copy_revocation(event: dict[str, Any]) -> None:
    services.copy_revocation(event=msgspec.convert(event, SessionRevoked))


@shared_task
def repair_deny_list() -> None:
    services.repair_deny_list()


@shared_task
def forget_expired() -> None:
    for _ in range(MAX_BATCHES):
        if not services.forget_expired():
            break
