"""`Idempotency-Key`: a POST that is sent again is answered again, not done again.

Two ways, both decided by a unique constraint and never by a check before an insert:

- `idempotent` for a view whose whole effect is one database transaction: key, effect and answer commit together;
- `claim`, `complete` and `release` for work that calls other services in between: the key is leased, and when the process
  died, a retry after the lease takes the work over and finds in `resource_id` what it was making.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from shared_lib.api.encoders import dumps
from shared_lib.exceptions import DomainError
from shared_lib.failpoints import around, failpoint
from shared_lib.idempotency.models import IdempotencyKey
from shared_lib.idempotency.retention import KEPT_FOR

MAX_KEY_LENGTH = 255


class IdempotencyKeyRequired(DomainError):
    status = 400
    code = "idempotency_key_required"
    title = "This request needs an Idempotency-Key header"


class IdempotencyKeyMalformed(DomainError):
    status = 400
    code = "idempotency_key_malformed"
    title = "The Idempotency-Key must have 1 to 255 printable ASCII characters"


class IdempotencyKeyReused(DomainError):
    status = 422
    code = "idempotency_key_reused"
    title = "This Idempotency-Key was used with another request body"


class IdempotencyInProgress(DomainError):
    status = 409
    code = "idempotency_in_progress"
    title = "The first request with this Idempotency-Key is still being worked on"

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": "1"}


@dataclass(frozen=True)
class Claim:
    """The right to work on a key until `until`. `resumed`: an earlier process had begun and died; `resource_id` is what it was
    making."""

    pk: int
    resource_id: UUID | None
    resumed: bool
    until: datetime


@dataclass(frozen=True)
class Replay:
    """The final answer that was given before."""

    status: int
    body: bytes

    def response(self) -> HttpResponse:
        return HttpResponse(
            self.body,
            status=self.status,
            content_type="application/json",
            headers={"Idempotent-Replayed": "true"},
        )


def key_of(request: Request, *, required: bool) -> str | None:
    """The key that the client sent. Raises `IdempotencyKeyRequired` or `IdempotencyKeyMalformed`."""
    key: str | None = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        if required:
            raise IdempotencyKeyRequired
        return None
    if (
        not 1 <= len(key) <= MAX_KEY_LENGTH
        or not all(" " <= character <= "~" for character in key)
        or not key.strip()
    ):
        raise IdempotencyKeyMalformed
    return key


def hash_of(request: Request) -> bytes:
    """What makes two requests the same: path, query and body."""
    digest = hashlib.sha256(request.get_full_path().encode() + b"\0")
    digest.update(dumps(_canonical(request.data)))
    return digest.digest()


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return value


def claim(
    *,
    user_id: object,
    route: str,
    key: str,
    request_hash: bytes,
    lease: timedelta,
    resource_id: UUID | None = None,
) -> Claim | Replay:
    """The right to do the work, or the answer that was given before.

    Raises `IdempotencyKeyReused` and `IdempotencyInProgress`. Inside a transaction of the caller, the claim commits with it.
    """
    claimed = _claim(user_id, route, key, request_hash, lease, resource_id)
    if isinstance(claimed, Claim):
        failpoint("idempotency.claimed")
    return claimed


def _claim(
    user_id: object, route: str, key: str, request_hash: bytes, lease: timedelta, resource_id: UUID | None
) -> Claim | Replay:
    now = timezone.now()
    until = now + lease
    values = {"request_hash": request_hash, "resource_id": resource_id, "lease_expires_at": until}
    with transaction.atomic():
        row, created = IdempotencyKey.objects.select_for_update().get_or_create(
            user_id=str(user_id), route=route, key=key, defaults=values
        )
        if created:
            return Claim(row.pk, resource_id, resumed=False, until=until)
        if now - row.created_at > KEPT_FOR and not _leased(row, now):
            row.created_at = now
            row.response_status = row.response_body = None
            for name, value in values.items():
                setattr(row, name, value)
            row.save()
            return Claim(row.pk, resource_id, resumed=False, until=until)
        if bytes(row.request_hash) != request_hash:
            raise IdempotencyKeyReused
        if row.response_status is not None:
            return Replay(row.response_status, bytes(row.response_body or b""))
        if _leased(row, now):
            raise IdempotencyInProgress
        row.lease_expires_at = until
        row.save(update_fields=["lease_expires_at"])
        return Claim(row.pk, row.resource_id, resumed=True, until=until)


def _leased(row: IdempotencyKey, now: Any) -> bool:
    return row.lease_expires_at is not None and row.lease_expires_at > now


def complete(claim: Claim, *, status: int, body: bytes) -> None:
    """Keeps the final answer. Call it inside the transaction that makes the answer true.

    Raises `IdempotencyInProgress` when the lease ran out and a retry has taken the work over: its answer counts.
    """
    with around("idempotency.complete"):
        if not _held(claim).update(response_status=status, response_body=body, lease_expires_at=None):
            raise IdempotencyInProgress


def release(claim: Claim) -> None:
    """Forgets the key: the answer was not final, and the same key may be sent again with a corrected body.

    Does nothing when a retry has taken the work over.
    """
    _held(claim).delete()


def _held(claim: Claim) -> QuerySet[IdempotencyKey]:
    """The row, if it is still this claim's."""
    return IdempotencyKey.objects.filter(
        pk=claim.pk, response_status__isnull=True, lease_expires_at=claim.until
    )


def idempotent(*, route: str, required: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For a method of an `APIView` whose effect is one database transaction.

    Only a 2xx answer is kept; an error rolls key and effect back together. While the first request runs, a second with the
    same key gets 409 `idempotency_in_progress`: an advisory lock tells it, and falls with the process that held it.
    A guest is named by `X-Cart-Token`; without one there is nobody to scope the key to and it is ignored.
    """

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def wrapper(view: Any, request: Request, *args: Any, **kwargs: Any) -> Any:
            key = key_of(request, required=required)
            user_id = _scope(request)
            if key is None or user_id is None:
                return method(view, request, *args, **kwargs)
            with transaction.atomic():
                _lock_or_refuse(f"{user_id}\0{route}\0{key}")
                claimed = claim(
                    user_id=user_id, route=route, key=key, request_hash=hash_of(request), lease=timedelta(0)
                )
                if isinstance(claimed, Replay):
                    return claimed.response()
                response = method(view, request, *args, **kwargs)
                if 200 <= response.status_code < 300:
                    complete(
                        claimed,
                        status=response.status_code,
                        body=dumps(response.data) if response.data is not None else b"",
                    )
                else:
                    release(claimed)
            failpoint("idempotency.committed")
            return response

        return wrapper

    return decorate


def _scope(request: Request) -> str | None:
    if request.user.is_authenticated:
        return str(request.user.id)
    token = request.META.get("HTTP_X_CART_TOKEN")
    return "guest:" + hashlib.sha256(token.encode()).hexdigest()[:32] if token else None


def _lock_or_refuse(name: str) -> None:
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        (locked,) = cursor.fetchone()
    if not locked:
        raise IdempotencyInProgress
