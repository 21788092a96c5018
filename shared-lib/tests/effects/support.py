"""What the tests of events and jobs share: real loops, real processes, and a wire that can be cut."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

from django.db import connection, transaction

from shared_lib.contracts.events import StockChanged
from shared_lib.events import CloudEvent, publish_all
from shared_lib.events.envelope import encode, wrap
from shared_lib.inbox.store import Incoming

ROOT = Path(__file__).parent.parent.parent
_PATH = f"{ROOT}:{ROOT / 'tests'}:{ROOT / 'src'}"


def stock_changed(variant_id: UUID | None = None, *, version: int = 1, available: int = 3) -> StockChanged:
    variant_id = variant_id or uuid4()
    return StockChanged(version=version, variant_id=variant_id, product_id=variant_id, available=available)


def incoming(event: Any, *, subject: object = "", redeliveries: int = 0) -> Incoming:
    """`event` as the consumer hands it to the processor."""
    envelope = wrap(event, subject=str(subject or getattr(event, "variant_id", "subject")))
    return Incoming(envelope, encode(envelope).decode(), redeliveries)


def publish_committed(*events: StockChanged) -> list[CloudEvent]:
    with transaction.atomic():
        return publish_all([(event, event.variant_id) for event in events])


def eventually(what: Callable[[], Any], *, within: float = 10.0) -> Any:
    """The first true value of `what()`; fails when there is none in time."""
    deadline = time.monotonic() + within
    while not (value := what()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return value


@contextlib.contextmanager
def running(loop: Any) -> Iterator[Any]:
    """`loop` in a thread until the end of the block; its exception, if it dies, fails the test."""
    stop = threading.Event()
    died: list[BaseException] = []

    def target() -> None:
        try:
            loop.run(stop)
        except BaseException as error:  # noqa: BLE001  raised again in the test
            died.append(error)

    thread = threading.Thread(target=target, name=loop.name)
    thread.start()
    try:
        yield loop
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive(), f"{loop.name} did not stop"
    if died:
        raise died[0]


class Zygote:
    """The one process of a test run that all others are forked from (`effects.zygote`)."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="shop-zygote-")
        self._path = str(Path(self._folder.name) / "socket")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "effects.zygote", self._path],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": _PATH},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n", "the zygote did not start"
        atexit.register(self.close)

    def fork(self, arguments: Sequence[str], environment: dict[str, str], output: int) -> socket.socket:
        """Starts `python -m ARGUMENTS`; what comes over the socket is its pid and, when it ends, its exit code."""
        request = {"arguments": list(arguments), "environment": environment, "folder": str(ROOT)}
        client = socket.socket(socket.AF_UNIX)
        client.connect(self._path)
        line = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(client, [line], [output])
        client.sendall(line[sent:])
        return client

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(5)
        self._process.stdout.close()
        self._folder.cleanup()


@cache
def zygote() -> Zygote:
    return Zygote()


class Process:
    """A process of this service on the database of the tests."""

    def __init__(self, *arguments: str, **environment: str | None) -> None:
        """`python -m ARGUMENTS`; a variable that is None is not set."""
        settings = connection.settings_dict
        user, password = settings["USER"], settings["PASSWORD"]
        url = f"postgresql://{user}:{password}@{settings['HOST']}:{settings['PORT']}/{settings['NAME']}"
        self.started_at = time.monotonic()
        wanted = {
            **os.environ,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "PYTHONPATH": _PATH,
            "LOG_LEVEL": "INFO",
            **environment,
        }
        wanted = {name: value for name, value in wanted.items() if value is not None}
        out, into = os.pipe()
        try:
            self._socket = zygote().fork(arguments, wanted, into)
        finally:
            os.close(into)
        self._answers = self._socket.makefile("r")
        self._output = os.fdopen(out, errors="replace")
        self.pid = int(self._answers.readline())
        self._code: int | None = None
        self._lines: list[str] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._read, self._await_end)]
        for thread in self._threads:
            thread.start()

    def _read(self) -> None:
        for line in self._output:
            self._lines.append(line)

    def _await_end(self) -> None:
        self._code = int(self._answers.readline())
        self._ended.set()

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        return self._code

    def says(self, text: str, *, within: float = 20.0) -> None:
        deadline = time.monotonic() + within
        while text not in self.output:
            assert time.monotonic() < deadline, f"it never said {text!r}:\n{self.output}"
            assert self.poll() is None or text in self.output, f"it ended:\n{self.output}"
            time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def wait(self, *, within: float = 15.0) -> int:
        """The exit code."""
        assert self._ended.wait(within), f"it did not end:\n{self.output}"
        self._threads[0].join(2)
        assert self._code is not None
        return self._code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.signal(signal.SIGKILL)
        self._ended.wait(10)
        for thread in self._threads:
            thread.join(2)
        for end in (self._answers, self._socket, self._output):
            end.close()


def events_process(**environment: str) -> Process:
    return Process("django", "run_events", **environment)


class Wire:
    """A TCP proxy in front of `host:port` that can be cut (connections reset, new ones refused) or frozen (half open)."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._up = True
        self._frozen = False
        self._closed = False
        self.connections = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        self._up = False
        for pair in list(self._pairs):
            self._drop(pair)

    def freeze(self) -> None:
        self._frozen = True

    def heal(self) -> None:
        self._up, self._frozen = True, False

    def _drop(self, pair: tuple[socket.socket, socket.socket]) -> None:
        if pair in self._pairs:
            self._pairs.remove(pair)
        for end in pair:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _serve(self) -> None:
        while not self._closed:
            ends = {} if self._frozen else {a: (b, (a, b)) for a, b in self._pairs}
            ends |= {} if self._frozen else {b: (a, (a, b)) for a, b in self._pairs}
            try:
                readable, _, _ = select.select([self._listener, *ends], [], [], 0.02)
            except (OSError, ValueError):
                continue  # a socket was closed meanwhile
            for each in readable:
                if each is self._listener:
                    self._accept()
                    continue
                other, pair = ends[each]
                try:
                    data = each.recv(65536)
                    if data:
                        other.sendall(data)
                        continue
                except OSError:
                    pass
                self._drop(pair)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if not self._up:
            client.close()
            return
        self.connections += 1
        try:
            self._pairs.append((client, socket.create_connection(self._target, 5)))
        except OSError:
            client.close()

    def close(self) -> None:
        self._closed = True
        self._thread.join(2)
        self.cut()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
