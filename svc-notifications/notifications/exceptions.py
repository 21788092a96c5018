"""Domain errors of svc-notifications."""

from __future__ import annotations

from shared_lib.exceptions import NotFound


class NotificationNotFound(NotFound):
    code = "notification_not_found"
    title = "There is no such notification"


class NotNeeded(Exception):
    """A mail that nobody needs any more. The message says why and names nobody."""
