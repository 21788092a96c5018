"""Celery entries: each calls one service function."""

from __future__ import annotations

from typing import Any

import msgspec
from celery import shared_task

from accounts import services
from shared_lib.contracts.events import SessionRevoked


@shared_task
def copy_revocation(event: dict[str, Any]) -> None:
    services.copy_revocation(event=msgspec.convert(event, SessionRevoked))


@shared_task
def repair_deny_list() -> None:
    services.repair_deny_list()


@shared_task
def forget_expired() -> None:
    """One batch a run; what is left waits for the next."""
    services.forget_expired()
