"""Identifiers."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7 as _uuid7


def uuid7() -> UUID:
    """A UUID of version 7 (RFC 9562): unique, and ordered by time roughly, never by commit."""
    return _uuid7()
