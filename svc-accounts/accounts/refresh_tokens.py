"""Refresh tokens: opaque to clients, known to the database by a hash only.

A token is `rt_` and base64url of session id (16 bytes), generation (4), secret (32) and tag (16). The secret of the first
one is random; that of each successor is an HMAC of its predecessor under a key of this service. So the successor can be
told again to a client that lost the answer, although neither token is kept: it is derived from the spent token that the
client shows, and its hash must be the one in the database. Without the key a stolen table gives no token, and without
the latest token the key gives none either.

The tag proves that a token that is long spent was really ours, without a row for every token ever issued: a forged one
must not be able to end somebody's session.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from django.conf import settings
from django.utils.crypto import salted_hmac

PREFIX = "rt_"
_BODY = 16 + 4 + 32
_TAG = 16
ENCODED_LENGTH = len(PREFIX) + -(-(_BODY + _TAG) * 8 // 6)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    session_id: UUID
    generation: int
    secret: bytes
    tag: bytes

    @classmethod
    def first_of(cls, session_id: UUID) -> Self:
        return cls._sealed(session_id, 0, secrets.token_bytes(32), _current_key())

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The token that `text` spells, genuine or not; None when it spells none."""
        if len(text) != ENCODED_LENGTH or not text.startswith(PREFIX):
            return None
        try:
            raw = base64.b64decode(
                text[len(PREFIX) :] + "=" * (-(len(text) - len(PREFIX)) % 4), altchars=b"-_", validate=True
            )
        except (binascii.Error, ValueError):
            return None
        token = cls(UUID(bytes=raw[:16]), int.from_bytes(raw[16:20]), raw[20:_BODY], raw[_BODY:])
        return token if token.encode() == text else None

    @classmethod
    def _sealed(cls, session_id: UUID, generation: int, secret: bytes, key: str) -> Self:
        return cls(session_id, generation, secret, _tag(_body(session_id, generation, secret), key))

    def successor(self, key: str | None = None) -> Self:
        """The next token of the session. The same token and key always give the same successor."""
        key = key or _current_key()
        secret = salted_hmac("accounts.refresh.successor", self._raw, secret=key, algorithm="sha256").digest()
        return self._sealed(self.session_id, self.generation + 1, secret, key)

    def successor_leading_to(self, digest: bytes | memoryview, steps: int) -> RefreshToken | None:
        """This token's successor, if the token `steps` after this one has `digest`; None when that was another chain.

        Also tries keys that SECRET_KEY has just replaced.
        """
        for key in _keys():
            successor = token = self.successor(key)
            for _ in range(steps - 1):
                token = token.successor(key)
            if token.has_digest(digest):
                return successor
        return None

    def is_genuine(self) -> bool:
        """Whether this service made the token, at any time."""
        body = self._raw[:_BODY]
        return any(hmac.compare_digest(self.tag, _tag(body, key)) for key in _keys())

    def has_digest(self, digest: bytes | memoryview) -> bool:
        return hmac.compare_digest(self.digest(), bytes(digest))

    def digest(self) -> bytes:
        return hashlib.sha256(self._raw).digest()

    def encode(self) -> str:
        return PREFIX + base64.urlsafe_b64encode(self._raw).rstrip(b"=").decode()

    @property
    def _raw(self) -> bytes:
        return _body(self.session_id, self.generation, self.secret) + self.tag


def _body(session_id: UUID, generation: int, secret: bytes) -> bytes:
    return session_id.bytes + generation.to_bytes(4) + secret


def _tag(body: bytes, key: str) -> bytes:
    return salted_hmac("accounts.refresh.tag", body, secret=key, algorithm="sha256").digest()[:_TAG]


def _current_key() -> str:
    return str(settings.SECRET_KEY)


def _keys() -> Iterator[str]:
    yield _current_key()
    yield from (str(key) for key in settings.SECRET_KEY_FALLBACKS)
