"""A service's handlers: the table `EVENT_HANDLERS` of its `event_handlers` module, checked against its subscriptions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from shared_lib.contracts.events import Event
from shared_lib.contracts.subscriptions import SUBSCRIPTIONS, subscribed_types

Handler = Callable[[Any], None]
EventHandlers = dict[type[Event], Handler]
_F = TypeVar("_F", bound=Handler)
_B = TypeVar("_B", bound=Callable[[Sequence[Any]], None])


class TooEarly(Exception):
    """Raised by a handler whose event comes before one that it needs: it is tried again soon, and for longer than a failure."""


_event_id: ContextVar[UUID] = ContextVar("event_id")


def current_event_id() -> UUID:
    """The id of the event whose handler runs: the same whenever that event is handled. Raises `LookupError` elsewhere."""
    return _event_id.get()


@contextmanager
def handling(event_id: UUID) -> Iterator[None]:
    """What runs inside is the handler of the event `event_id`."""
    token = _event_id.set(event_id)
    try:
        yield
    finally:
        _event_id.reset(token)


def replayable(handler: _F) -> _F:
    """Marks a handler that may be given old events again: it only brings its own rows up to date."""
    handler.replayable = True  # type: ignore[attr-defined]
    return handler


def is_replayable(handler: Handler) -> bool:
    return getattr(handler, "replayable", False)


def batched(handler: _B) -> _B:
    """Marks a handler that takes a list: all events that came together, of every type that it stands for in the table.

    In the order of subject and id within the list, which may hold a single one. When the handler fails on many it is
    called again with each alone. It has no `current_event_id()`.
    """
    handler.batched = True  # type: ignore[attr-defined]
    return handler


def is_batched(handler: Handler) -> bool:
    return getattr(handler, "batched", False)


def load_handlers() -> Mapping[str, Handler]:
    """The handlers of this service by event type. Raises `ImproperlyConfigured` with one sentence for each mistake."""
    table = _table()
    mistakes = list(find_mistakes(settings.SERVICE_NAME, table))
    if mistakes:
        raise ImproperlyConfigured(" ".join(mistakes))
    return {contract.event_type: handler for contract, handler in table.items()}


def _table() -> EventHandlers:
    path = settings.EVENT_HANDLERS
    if not path:
        return {}
    try:
        table = import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"EVENT_HANDLERS is {path!r}, which cannot be imported: {error}."
        ) from error
    if not isinstance(table, dict):
        raise ImproperlyConfigured(f"{path} must be a dict of event contract to function.")
    return table


def find_mistakes(service: str, table: Mapping[Any, Any]) -> Iterator[str]:
    """A sentence for each way in which `table` differs from what `service` is said to consume."""
    if service not in SUBSCRIPTIONS:
        yield f"{service} has no row in shared_lib.contracts.subscriptions."
        return
    named = set()
    for contract, handler in table.items():
        if not (isinstance(contract, type) and issubclass(contract, Event) and contract.event_type):
            yield f"EVENT_HANDLERS has the key {contract!r}, which is not an event contract."
            continue
        named.add(contract.event_type)
        if not callable(handler):
            yield f"The handler of {contract.event_type} is not callable."
    expected = subscribed_types(service)
    for event_type in sorted(expected - named):
        yield f"{service} is said to consume {event_type} (shared_lib.contracts.subscriptions) but has no handler for it."
    for event_type in sorted(named - expected):
        yield f"{service} has a handler for {event_type}, which is missing from its row in shared_lib.contracts.subscriptions."
