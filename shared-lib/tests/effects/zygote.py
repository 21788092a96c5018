"""Starts processes of the tests by forking one that has the libraries loaded: a fifth of the time of a new interpreter.

It has imported nothing that reads the environment or the settings, opened no connection and started no thread. One line of
JSON on a Unix socket asks for a process, with its standard output as a passed file; the answers are its pid, and, when it has
ended, its exit code.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
from typing import Any

LIBRARIES = (
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.thread",
    "celery.contrib.django.task",
    "celery.fixups.django",
    "celery.worker.consumer",
    "celery.worker.worker",
    "cryptography.hazmat.primitives.asymmetric.ec",
    "django.contrib.postgres",
    "django.core.management",
    "django.db.backends.postgresql.base",
    "django.db.models",
    "environs",
    "httpx",
    "jwt",
    "kombu.transport.pyamqp",
    "msgspec",
    "orjson",
    "prometheus_client",
    "psycopg_pool",
    "redis",
    "shared_lib.contracts.frozen",
    "shared_lib.events.topology",
    "stamina",
    "structlog",
)


def _become(request: dict[str, Any], output: int) -> None:
    """Turns this fork into the process that was asked for; never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        sys.path[:0] = request["environment"].get("PYTHONPATH", "").split(":")
        sys.argv = request["arguments"]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  it is printed, as the interpreter would
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def serve(listener: socket.socket) -> None:
    """Works until its parent has gone."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(woken, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    children: dict[int, socket.socket] = {}
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                _start(listener, children)
            elif key.fileobj is sys.stdin:
                return  # the parent's end of the pipe is closed
            else:
                with contextlib.suppress(BlockingIOError):
                    os.read(woken, 4096)
        _report(children)


def _start(listener: socket.socket, children: dict[int, socket.socket]) -> None:
    client, _ = listener.accept()
    head, files, _, _ = socket.recv_fds(client, 1 << 20, 1)
    while not head.endswith(b"\n"):
        head += client.recv(1 << 20)
    request = json.loads(head)
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        listener.close()
        client.close()
        for other in children.values():
            other.close()
        _become(request, files[0])
    os.close(files[0])
    children[pid] = client
    client.sendall(f"{pid}\n".encode())


def _report(children: dict[int, socket.socket]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        client = children.pop(pid)
        with contextlib.suppress(OSError):
            client.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        client.close()


if __name__ == "__main__":
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(sys.argv[1])
        for name in LIBRARIES:
            importlib.import_module(name)
        server.listen()
        print("ready", flush=True)
        serve(server)
