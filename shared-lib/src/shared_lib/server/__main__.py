"""Replaces this process by one of a service's own: run it from the folder of the service.

    python -m shared_lib.server web      Granian (WSGI) on $HOST:$PORT, or on a socket handed over (shared_lib.server.web)
    python -m shared_lib.server events   relay and consumer
    python -m shared_lib.server worker   Celery, with the beat as a thread unless EMBEDDED_BEAT=false
    python -m shared_lib.server beat     Celery's beat alone, where the workers have EMBEDDED_BEAT=false

WEB_WORKERS, WEB_THREADS and WORKER_THREADS change the numbers of processes and threads. web and worker keep a pool of at most
as many database connections as they have threads, unless DATABASE_POOL_MAX says otherwise.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from marshmallow.validate import Range

from shared_lib.observability.expose import share_between_workers
from shared_lib.settings import env

_SOME = Range(min=1)
_PORT = Range(min=1, max=65535)


def _host() -> str:
    host: str = env.str(
        "HOST", "127.0.0.1", help="the address where web, and the health of events and worker, listens"
    )
    return host


def _web() -> list[str]:
    threads: int = env.int(
        "WEB_THREADS", 4, validate=_SOME, only="web", help="threads of each of its workers"
    )
    workers: int = env.int("WEB_WORKERS", 1, validate=_SOME, only="web", help="its processes")
    most: int = env.int(
        "WEB_BACKPRESSURE",
        128,
        validate=_SOME,
        only="web",
        help="requests that a worker takes in at once; more wait at the door",
    )
    port: int = env.int("PORT", validate=_PORT, only="web", help="where it listens")
    wait: bool = env.bool(
        "WEB_WAIT_READY", False, only="web", help="whether it lets nobody in before it answers /readyz"
    )
    share: bool = env.bool(
        "WEB_SHARE_PORT",
        False,
        only="web",
        help="whether another of its kind may listen at the same address, to take over from it",
    )
    os.environ["WEB_WAIT_READY"] = str(wait).lower()
    os.environ["WEB_SHARE_PORT"] = str(share).lower()
    os.environ.setdefault("DATABASE_POOL_MAX", str(threads))
    if workers > 1:
        share_between_workers()
    return ["shared_lib.server.web", _host(), str(port), str(workers), str(threads), str(most)]


def _events() -> list[str]:
    return ["manage.py", "run_events"]


def _worker() -> list[str]:
    threads: int = env.int("WORKER_THREADS", 2, validate=_SOME, only="worker", help="jobs at once")
    # Checked here, used by the worker: `shared_lib.jobs.measures`.
    env.int(
        "WORKER_HEALTH_PORT",
        None,
        validate=_PORT,
        only="worker",
        help="where its health and metrics are served; nowhere if unset",
    )
    _host()
    # Celery closes its connections after each task: with a pool that gives them back.
    os.environ.setdefault("DATABASE_POOL_MAX", str(threads))
    return [
        *(
            "celery",
            "--app",
            "config.celery",
            "--quiet",  # no banner among the lines of the log
            "worker",
            "--pool",
            "threads",
            "--concurrency",
            str(threads),
        ),
        # Nobody listens to events of workers; the heartbeat of the connection to the broker is another one.
        *("--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]


def _beat() -> list[str]:
    # The plain scheduler keeps its schedule in memory: no file has to be writable.
    return [
        *("celery", "--app", "config.celery", "--quiet", "beat", "--scheduler", "celery.beat:Scheduler"),
        *("--loglevel", "WARNING", "--pidfile="),
    ]


def main() -> None:
    processes = {"web": _web, "events": _events, "worker": _worker, "beat": _beat}
    if len(sys.argv) != 2 or sys.argv[1] not in processes:
        sys.exit(f"usage: python -m shared_lib.server {'|'.join(processes)}")
    if not Path("manage.py").is_file():
        sys.exit("There is no manage.py here: run this from the folder of a service.")
    os.environ["SHOP_PROCESS"] = sys.argv[1]
    try:
        command = processes[sys.argv[1]]()
        # Before a master starts workers that would fail one after the other, each with a traceback.
        import_module(os.environ.get("DJANGO_SETTINGS_MODULE", "config.settings"))
        env.refuse_misspelt()
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    module = [] if command[0].endswith(".py") else ["-m"]
    os.execv(sys.executable, [sys.executable, *module, *command])


if __name__ == "__main__":
    main()
