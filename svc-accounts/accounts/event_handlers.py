"""What this service does when something has happened elsewhere, or here."""

from __future__ import annotations

from accounts import services
from shared_lib.contracts.events import SessionRevoked
from shared_lib.events import EventHandlers, replayable


@replayable
def on_session_revoked(event: SessionRevoked) -> None:
    services.schedule_copy(event=event)


EVENT_HANDLERS: EventHandlers = {SessionRevoked: on_session_revoked}
