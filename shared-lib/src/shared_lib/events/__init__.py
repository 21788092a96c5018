"""Events between services.

A service publishes with `publish(event, subject=...)` inside its transaction and consumes with the functions in its
`EVENT_HANDLERS`. Delivery is at least once on the wire and exactly once in effect; order holds in effect because a
handler compares `version`: it ignores what is older and raises `TooEarly` for what it cannot use yet.
"""

from shared_lib.events.envelope import CloudEvent, Undecodable
from shared_lib.events.handlers import EventHandlers, TooEarly, batched, current_event_id, replayable
from shared_lib.events.publishing import CannotPublish, publish, publish_all

__all__ = [
    "CannotPublish",
    "CloudEvent",
    "EventHandlers",
    "TooEarly",
    "Undecodable",
    "batched",
    "current_event_id",
    "publish",
    "publish_all",
    "replayable",
]
