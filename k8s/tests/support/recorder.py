"""Starts a process of a service as far as its settings go, and tells which environment variables it read.

Run in the folder of a service with the environment of that process and nothing else:

    python recorder.py web|events|worker|beat|migration

Prints JSON: `read`, every variable that was looked at, and `settings`, those read as settings. What the process would do
next (become a server, open a port, connect) is left out.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

read: set[str] = set()
settings: set[str] = set()


class _Recording(type(os.environ)):  # type: ignore[misc]
    def get(self, key: str, default: Any = None) -> Any:
        """Not `__getitem__`: a library that copies the whole environment reads nothing of it."""
        read.add(key)
        return super().get(key, default)


def main(process: str) -> None:
    sys.path[0] = os.getcwd()  # noqa: PTH109 - as for manage.py, the service's own folder
    os.environ.__class__ = _Recording
    from shared_lib.settings.environment import Environment

    reading = Environment._read

    def noting(self: Environment, kind: str, name: str, *rest: Any) -> Any:
        settings.add(name)
        return reading(self, kind, name, *rest)

    Environment._read = noting  # type: ignore[method-assign]
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    if process == "migration":
        import django

        django.setup()
    elif process == "events":
        _events()
    else:
        _server(process)
    print(json.dumps({"read": sorted(read | settings), "settings": sorted(settings)}))


def _server(process: str) -> None:
    from shared_lib.server import __main__ as server

    class Became(Exception):
        pass

    def become(*_: object) -> None:
        raise Became

    sys.argv = ["server", process]
    os.execv = become  # type: ignore[assignment]
    try:
        server.main()
    except Became:
        import django

        django.setup()


def _events() -> None:
    import django

    django.setup()
    from shared_lib.inbox.management.commands import run_events

    class Process:
        def __init__(self, *_: object) -> None:
            pass

        def run(self) -> int:
            return 0

    served: list[tuple[str, int]] = []
    run_events.EventsProcess = Process  # type: ignore[assignment,misc]
    run_events.Relay = run_events.Consumer = Process  # type: ignore[assignment,misc]
    run_events.serve = lambda _, host, port: served.append((host, port))  # type: ignore[assignment,return-value]
    run_events.end = lambda _: None  # type: ignore[assignment,return-value]
    run_events.Command().handle()
    assert served == [("0.0.0.0", 8001)], served  # noqa: S104 - where the probes ask


if __name__ == "__main__":
    main(sys.argv[1])
