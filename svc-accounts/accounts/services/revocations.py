"""The end of sessions, and the deny list by which the gateway learns of it.

The rows of `Revocation` are the truth. Redis holds a copy: written at once after the commit, again by the job that this
service's own `session.revoked` schedules, and compared with the rows by a periodic task, so that neither a Redis that
was away nor one that came back empty leaves a token working.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from redis.exceptions import RedisError

from accounts import deny_list, tasks
from accounts.models import OneTimeToken, Revocation, RevokeReason, Session
from shared_lib.contracts.events import SessionRevoked
from shared_lib.events import publish_all
from shared_lib.jobs import enqueue

logger = structlog.get_logger(__name__)

# A verifier accepts an expired token for some seconds more, and a spent refresh token gives one for the grace.
_MARGIN = timedelta(seconds=60)
_CHUNK = 1000


def end_sessions(sessions: Sequence[Session], reason: RevokeReason) -> None:
    """Ends sessions that the caller has locked and that are alive. Called inside a transaction."""
    now = timezone.now()
    for session in sessions:
        session.revoke(now, reason)
        session.updated_at = now
    Session.objects.bulk_update(sessions, ["revoked_at", "revoke_reason", "updated_at"])
    expires_at = _last_expiry(now)
    _deny(
        [
            Revocation(user_id=session.user_id, session_id=session.pk, expires_at=expires_at)
            for session in sessions
        ]
    )


def deny_tokens_of(user_id: UUID) -> None:
    """All access tokens of the user issued up to now stop working. Called inside a transaction, under the user's lock."""
    now = timezone.now()
    # `iat` has whole seconds: those of the running second are denied too.
    issued_before = now.replace(microsecond=0) + timedelta(seconds=1)
    _deny([Revocation(user_id=user_id, issued_before=issued_before, expires_at=_last_expiry(now))])


def _last_expiry(now: datetime) -> datetime:
    return now + timedelta(seconds=settings.ACCESS_TOKEN_SECONDS) + _MARGIN


def _deny(revocations: Sequence[Revocation]) -> None:
    if not revocations:
        return
    rows = Revocation.objects.bulk_create(revocations)
    publish_all((_event(row), row.session_id or row.user_id) for row in rows)
    transaction.on_commit(lambda: _copy(rows))


def _event(row: Revocation) -> SessionRevoked:
    return SessionRevoked(
        user_id=row.user_id,
        session_id=row.session_id,
        issued_before=row.issued_before,
        expires_at=row.expires_at,
    )


def _copy(rows: Sequence[Revocation]) -> bool:
    """Whether `rows` are in Redis now. When it is away they wait for the next repair: what was asked for has been committed."""
    try:
        deny_list.add(rows)
    except RedisError as error:
        logger.warning("deny_list_not_written", entries=len(rows), error=repr(error))
        return False
    return True


def schedule_copy(*, event: SessionRevoked) -> None:
    """A hint to the worker to write the revocation of `event` to Redis, if that still matters."""
    if event.expires_at > timezone.now():
        enqueue(tasks.copy_revocation, msgspec.to_builtins(event))


def copy_revocation(*, event: SessionRevoked) -> None:
    """Writes the revocation of `event` to Redis."""
    fields = ("user_id", "session_id", "issued_before", "expires_at")
    _copy([Revocation(**{field: getattr(event, field) for field in fields})])


def repair_deny_list() -> int:
    """Drops what has expired and writes everything again when Redis holds too little. Returns how many were written."""
    now = timezone.now()
    wanted = Revocation.objects.filter(expires_at__gt=now)
    try:
        held = deny_list.drop_expired_and_count(now)
    except RedisError as error:
        logger.warning("deny_list_not_repaired", error=repr(error))
        return 0
    if held >= wanted.values("user_id", "session_id", "issued_before").distinct().count():
        return 0
    rows = list(wanted)
    written = sum(len(chunk) for chunk in _chunks(rows) if _copy(chunk))
    logger.warning("deny_list_repaired", entries=written)
    return written


def _chunks(rows: Sequence[Revocation]) -> Iterator[Sequence[Revocation]]:
    return (rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK))


def forget_expired(*, limit: int = _CHUNK) -> int:
    """Deletes sessions, revocations and one-time tokens that no longer mean anything, at most `limit` of each."""
    now = timezone.now()
    deleted = 0
    for model in (Session, Revocation, OneTimeToken):
        with transaction.atomic():
            expired = model._default_manager.filter(expires_at__lt=now).order_by("expires_at")
            ids = list(expired.select_for_update(skip_locked=True).values_list("pk", flat=True)[:limit])
            deleted += model._default_manager.filter(pk__in=ids).delete()[0]
    return deleted
