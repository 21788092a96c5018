"""What each service may do in the virtual host `events`: no more than its row of the contracts needs.

    python -m shared_lib.events.permissions      prints the rights as JSON, as RabbitMQ's definitions have them

A service declares its own queues and those of the consumers of its events, since whichever side starts first does. Of the
queues of others it can neither read nor take anything, and it can publish its own event types alone. `configure` would let it
delete a queue that it declares; RabbitMQ has no right to declare without it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from shared_lib.contracts.subscriptions import SUBSCRIPTIONS, produced_types, subscribed_types
from shared_lib.events import topology

VIRTUAL_HOST = "events"

Rights = dict[str, str]


def permissions(service: str) -> Rights:
    """`configure`, `write` and `read` of `service`, each a regular expression over names of exchanges and queues."""
    exchanges = (topology.EVENTS.name, topology.DIRECT.name)
    declared = [name for each in topology.declared_services(service) for name in _queues(each)]
    return {
        "configure": _any_of((*exchanges, *declared)),
        "write": _any_of((*exchanges, *declared)),  # writing to a queue is to bind it
        "read": _any_of((*exchanges, *_queues(service))),
    }


def topic_permissions(service: str) -> list[Rights]:
    """Which routing keys `service` may publish (`write`) and bind (`read`), for each topic exchange."""
    produced, own = produced_types(service), subscribed_types(service)
    reached = topology.declared_services(service)
    types = {name for each in reached for name in subscribed_types(each) & produced} | own
    # Replays go to the queue of a consumer; what it cannot decode a service puts aside in its own.
    sent = {topology.queue_name(each) for each in reached} | {topology.dead_queue_name(service)}
    bound = {name for each in reached for name in _queues(each)}
    return [
        {"exchange": topology.EVENTS.name, "write": _any_of(produced), "read": _any_of(types)},
        {"exchange": topology.DIRECT.name, "write": _any_of(sent), "read": _any_of(bound)},
    ]


def definitions(
    services: Iterable[str] = tuple(SUBSCRIPTIONS), host: str = VIRTUAL_HOST
) -> dict[str, list[Rights]]:
    """The `permissions` and `topic_permissions` of RabbitMQ's definitions, for users that are called like the services."""
    return {
        "permissions": [{"user": name, "vhost": host, **permissions(name)} for name in services],
        "topic_permissions": [
            {"user": name, "vhost": host, **rights} for name in services for rights in topic_permissions(name)
        ],
    }


def _queues(service: str) -> tuple[str, str]:
    return topology.queue_name(service), topology.dead_queue_name(service)


def _any_of(names: Iterable[str]) -> str:
    """A regular expression for exactly these names; RabbitMQ reads an empty one as "nothing"."""
    found = sorted(set(names))
    return f"^({'|'.join(map(re.escape, found))})$".replace(r"\-", "-") if found else ""


if __name__ == "__main__":
    print(json.dumps(definitions(), indent=1))
