"""Signing in, staying signed in, signing out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password, verify_password
from django.db import transaction
from django.utils import timezone

from accounts.exceptions import InvalidCredentials, NotAuthenticated, RefreshInvalid, RefreshReused
from accounts.models import RevokeReason, Session, User
from accounts.refresh_tokens import RefreshToken
from accounts.services.revocations import end_sessions
from accounts.services.rows import lock_session, lock_user
from accounts.tokens import AccessToken
from shared_lib.exceptions import NotFound
from shared_lib.models import uuid7

# No client refreshes this often within the grace; it bounds the row of one that does.
_MAX_SPENT_REMEMBERED = 50
_NO_PASSWORD = "!"


@dataclass(frozen=True, slots=True)
class TokenPair:
    """`expires_in` is the life of the access token in seconds."""

    access: str
    refresh: str
    expires_in: int


def sign_in(*, email: str, password: str, user_agent: str = "") -> TokenPair:
    """A new session of the user with the canonical address `email`.

    Raises `InvalidCredentials`, after the same work whether the address is known or not.
    """
    user = User.objects.filter(email=email).first()
    known = user.password if user is not None and user.is_active else _NO_PASSWORD
    correct, outdated = verify_password(password, known)
    if not correct or user is None:
        raise InvalidCredentials
    renewed = make_password(password) if outdated else None
    with transaction.atomic():
        try:
            locked = lock_user(user.pk)
        except NotFound:
            raise InvalidCredentials from None
        # The password may have been reset since it was checked: the new session would outlive the reset.
        if locked.password != known and not check_password(password, locked.password):
            raise InvalidCredentials
        if renewed is not None and locked.password == known:
            locked.password = renewed
            locked.save(update_fields=["password", "updated_at"])
        return _open_session(locked, user_agent)


def _open_session(user: User, user_agent: str) -> TokenPair:
    now = timezone.now()
    session_id = uuid7()
    token = RefreshToken.first_of(session_id)
    Session.objects.create(
        id=session_id,
        user=user,
        refresh_hash=token.digest(),
        last_seen_at=now,
        expires_at=now + timedelta(seconds=settings.SESSION_SECONDS),
        user_agent=user_agent[:300],
    )
    return _pair(user, token, now)


def refresh(*, token: str) -> TokenPair:
    """Spends the refresh token `token` for a new pair.

    Within the grace a spent one gives the same refresh token that it gave before, whoever comes first and however many at
    once. Raises `RefreshInvalid`, or `RefreshReused` when it was spent longer ago, which ends the session.
    """
    presented = RefreshToken.parse(token)
    if presented is None:
        raise RefreshInvalid
    with transaction.atomic():
        outcome = _refresh(presented)
    # Raised only now: the end of a session must be committed.
    if isinstance(outcome, NotAuthenticated):
        raise outcome
    return outcome


def _refresh(presented: RefreshToken) -> TokenPair | NotAuthenticated:
    session = lock_session(presented.session_id)
    now = timezone.now()
    if session is None or not _is_ours(session, presented):
        return RefreshInvalid()
    if session.revoke_reason == RevokeReason.REFRESH_REUSED:
        return RefreshReused()
    if not session.is_alive(now):
        return RefreshInvalid()
    if presented.has_digest(session.refresh_hash):
        successor: RefreshToken | None = _spend(session, presented, now)
    elif not _within_grace(session, presented, now):
        end_sessions([session], RevokeReason.REFRESH_REUSED)
        return RefreshReused()
    else:
        successor = presented.successor_leading_to(
            session.refresh_hash, session.generation - presented.generation
        )
    user = User.objects.filter(pk=session.user_id, is_active=True).first()
    if user is None or successor is None:
        return RefreshInvalid()
    return _pair(user, successor, now)


def _is_ours(session: Session, presented: RefreshToken) -> bool:
    """The current token by its hash, any earlier one by its tag; nothing else may touch the session."""
    if presented.has_digest(session.refresh_hash):
        return True
    return presented.generation < session.generation and presented.is_genuine()


def _within_grace(session: Session, presented: RefreshToken, now: datetime) -> bool:
    age = session.generation - presented.generation
    if age > len(session.spent_at):
        return False
    return session.spent_at[-age] > now - timedelta(seconds=settings.REFRESH_GRACE_SECONDS)


def _spend(session: Session, presented: RefreshToken, now: datetime) -> RefreshToken:
    successor = presented.successor()
    oldest = now - timedelta(seconds=settings.REFRESH_GRACE_SECONDS)
    session.spent_at = [*(at for at in session.spent_at if at > oldest), now][-_MAX_SPENT_REMEMBERED:]
    session.generation = successor.generation
    session.refresh_hash = successor.digest()
    session.last_seen_at = now
    session.expires_at = now + timedelta(seconds=settings.SESSION_SECONDS)
    session.save(
        update_fields=["spent_at", "generation", "refresh_hash", "last_seen_at", "expires_at", "updated_at"]
    )
    return successor


def sign_out(*, token: str) -> None:
    """Ends the session of a refresh token, spent or not. A token that is not ours changes nothing and raises nothing."""
    presented = RefreshToken.parse(token)
    if presented is None:
        return
    with transaction.atomic():
        session = lock_session(presented.session_id)
        if session is not None and session.is_alive(timezone.now()) and _is_ours(session, presented):
            end_sessions([session], RevokeReason.SIGNED_OUT)


def end_session(*, user_id: UUID, session_id: UUID) -> None:
    """Ends one of the user's own sessions. Raises `NotFound`, also for one that has ended."""
    with transaction.atomic():
        session = lock_session(session_id)
        if session is None or session.user_id != user_id or not session.is_alive(timezone.now()):
            raise NotFound
        end_sessions([session], RevokeReason.REMOVED_BY_USER)


def _pair(user: User, token: RefreshToken, now: datetime) -> TokenPair:
    access = AccessToken.for_session(user=user, session_id=token.session_id, issued_at=now)
    return TokenPair(access=str(access), refresh=token.encode(), expires_in=settings.ACCESS_TOKEN_SECONDS)
