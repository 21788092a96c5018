"""Starts processes of services as far as their settings go, and tells which environment variables each read.

Takes a line of JSON for each process: `folder` of the service, `process` (web, events, worker, beat, migration) and `env`,
its environment and nothing else. Answers with a line: `read`, every variable that was looked at, and `settings`, those read
as settings; or `error`, what it wrote before it failed. What the process would do next (become a server, open a port,
connect) is left out.

Each process is a fork of one that has imported the libraries, which are what a start spends its time on. Nothing of the
services or of shared_lib, and nothing that needs settings, is imported before the fork.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

LIBRARIES = (
    "celery.app.base",
    "cryptography.x509",
    "django.contrib.postgres",
    "django.core.management",
    "django.db.models",
    "django.forms",
    "django.http",
    "django.urls",
    "environs",
    "httpx",
    "jwt",
    "kombu.entity",
    "marshmallow",
    "msgspec",
    "prometheus_client",
    "psycopg_pool",
    "redis",
    "stamina",
    "structlog",
)

read: set[str] = set()
settings: set[str] = set()


class _Recording(type(os.environ)):  # type: ignore[misc]
    def get(self, key: str, default: Any = None) -> Any:
        """Not `__getitem__`: a library that copies the whole environment reads nothing of it."""
        read.add(key)
        return super().get(key, default)


def main(process: str) -> None:
    sys.path[0] = str(Path.cwd())  # as for manage.py, the service's own folder
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


def serve() -> None:
    for library in LIBRARIES:
        importlib.import_module(library)
    for line in sys.stdin:
        with tempfile.TemporaryFile("w+") as told:
            child = os.fork()
            if not child:
                _become(json.loads(line), told.fileno())
            _, status = os.waitpid(child, 0)
            told.seek(0)
            text = told.read()
        answer = {"error": text[-2000:]} if status else json.loads(text.splitlines()[-1])
        print(json.dumps(answer), flush=True)


def _become(start: dict[str, Any], output: int) -> None:
    """Never returns."""
    code = 1
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(start["folder"])
        os.environ.clear()
        os.environ.update(start["env"])
        main(start["process"])
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, the caller is told and the fork ends here
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
