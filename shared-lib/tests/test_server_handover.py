"""Two generations of a web server on one listening socket: real processes, real connections."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

APPLICATION = """
import os, time
from shared_lib.server import die_with_parent, handover

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/readyz" and os.path.exists("unready"):
        start_response("503 Service Unavailable", [])
        return [b"the database is away"]
    if path == "/slow":
        time.sleep(1.5)
    start_response("200 OK", [])
    return [os.environ["GENERATION"].encode()]

die_with_parent(int(os.environ["SHOP_WEB_MASTER"]))
application = handover.enter(application)
"""

#: Two generations share a port in a network of their own, where the kernel moves who waits, and clients arrive all the time.
SHARING = """
import collections, fcntl, http.client, os, signal, socket, struct, subprocess, sys, threading, time
from pathlib import Path

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    up = struct.pack("16sh14x", b"lo", 0x1 | 0x40)
    fcntl.ioctl(any_socket, 0x8914, up)  # SIOCSIFFLAGS: UP, RUNNING
Path("/proc/sys/net/ipv4/tcp_migrate_req").write_text("1")

def start(name):
    env = {"PATH": os.environ["PATH"], "GENERATION": name, "WEB_SHARE_PORT": "true"}
    arguments = ["127.0.0.1", "8000", "1", "2", "64"]
    return subprocess.Popen([sys.executable, "-m", "shared_lib.server.web", *arguments], env=env)

def ask():
    connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    finally:
        connection.close()

def arrive():
    while not over.is_set():
        began = time.monotonic()
        try:
            outcomes[ask()] += 1
        except OSError as error:
            outcomes[repr(error)] += 1
        took.append(time.monotonic() - began)

def wait_for(name):
    while True:
        try:
            if ask() == name:
                return
        except ConnectionRefusedError:
            time.sleep(0.05)

old = start("old")
wait_for("old")
outcomes, took, over = collections.Counter(), [], threading.Event()
clients = [threading.Thread(target=arrive) for _ in range(4)]
for client in clients:
    client.start()
new = start("new")
wait_for("new")
old.send_signal(signal.SIGUSR1)
time.sleep(0.5)
during = outcomes["old"]
time.sleep(0.3)
late = outcomes["old"] - during
over.set()
for client in clients:
    client.join()
for each in (old, new):
    each.terminate()
    each.wait()
print(sorted(outcomes), late, max(took) < 1)
"""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as found:
        yield found


class Generation:
    """A web server as the holder of a listening socket starts it; `ready` is the end of a pipe that it writes to."""

    def __init__(self, folder: Path, name: str, listener: socket.socket | None, *arguments: str) -> None:
        self.ready, told = os.pipe()
        env = {"PATH": os.environ["PATH"], "GENERATION": name}
        command = [sys.executable, "-m", "shared_lib.server.web", *arguments]
        if listener is not None:
            env |= {"LISTEN_FDS": "1", "READY_FD": "4"}
            # What a holder does between fork and exec, in a shell: the descriptors' numbers, and whom they are for.
            script = f'exec 3<&{listener.fileno()} 4>&{told}; LISTEN_PID=$$ exec "$@"'
            command = ["bash", "-c", script, "sh", *command]
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            pass_fds=(listener.fileno(), told) if listener else (),
            stderr=subprocess.PIPE,
        )
        os.close(told)

    def wait_ready(self) -> bytes:
        return os.read(self.ready, 1)

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(10)


@pytest.fixture
def generation(tmp_path: Path, listener: socket.socket) -> Iterator[Callable[..., Generation]]:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "wsgi.py").write_text(APPLICATION)
    started: list[Generation] = []

    def start(name: str, workers: int = 1) -> Generation:
        host, port = listener.getsockname()
        started.append(Generation(tmp_path, name, listener, host, str(port), str(workers), "2", "64"))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()
        os.close(each.ready)


_opened: list[http.client.HTTPConnection] = []


@pytest.fixture(autouse=True)
def no_connection_stays_open() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def _connection(host: str, port: int, timeout: float = 5) -> http.client.HTTPConnection:
    _opened.append(http.client.HTTPConnection(host, port, timeout=timeout))
    return _opened[-1]


def _get(connection: http.client.HTTPConnection, path: str = "/") -> tuple[str, str | None]:
    """The body, and what the answer says of the connection."""
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.read().decode(), answer.headers["Connection"]


def _connect(listener: socket.socket) -> http.client.HTTPConnection:
    connection = _connection(*listener.getsockname())
    connection.connect()
    return connection


def test_a_draining_generation_answers_kept_connections_once_more_and_accepts_none(
    generation: Callable[..., Generation], listener: socket.socket
) -> None:
    old = generation("old", workers=2)
    assert old.wait_ready() + old.wait_ready() == b".."
    kept = [_connect(listener) for _ in range(8)]
    assert {_get(connection) for connection in kept} == {("old", None)}
    slow = _connect(listener)
    assert _get(slow) == ("old", None)
    new = generation("new")
    assert new.wait_ready() == b"."
    slow.request("GET", "/slow")
    time.sleep(0.2)

    old.process.send_signal(signal.SIGUSR1)
    time.sleep(0.3)

    # Whoever arrives now is the new one's.
    assert {_get(_connect(listener)) for _ in range(20)} == {("new", None)}
    # A request in flight, and one on each kept connection, are answered by the old one, which closes them in the answer.
    late = slow.getresponse()
    assert (late.read(), late.headers["Connection"]) == (b"old", "close")
    assert {_get(connection) for connection in kept} == {("old", "close")}
    assert old.end() == 0
    assert _get(_connect(listener)) == ("new", None)


def test_requests_in_flight_are_finished_at_the_end(
    generation: Callable[..., Generation], listener: socket.socket
) -> None:
    old = generation("old")
    old.wait_ready()
    connection = _connect(listener)
    connection.request("GET", "/slow")
    time.sleep(0.2)

    assert old.end() == 0

    assert connection.getresponse().read() == b"old"


def test_a_generation_accepts_nothing_before_it_is_ready(
    generation: Callable[..., Generation], listener: socket.socket, tmp_path: Path
) -> None:
    (tmp_path / "unready").touch()
    new = generation("new")
    connection = _connection(*listener.getsockname(), timeout=2)
    with pytest.raises(TimeoutError):
        _get(connection)
    assert new.process.stderr is not None
    assert b"503 Service Unavailable: the database is away" in new.process.stderr.readline()

    (tmp_path / "unready").unlink()

    assert new.wait_ready() == b"."
    assert _get(_connect(listener)) == ("new", None)


def test_without_a_socket_handed_over_it_listens_by_itself(
    generation: Callable[..., Generation], listener: socket.socket, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        host, port = found.getsockname()
    alone = Generation(tmp_path, "alone", None, host, str(port), "1", "2", "64")
    deadline = time.monotonic() + 10
    while True:
        connection = _connection(host, port)
        try:
            answer = _get(connection)
            break
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert answer == ("alone", None)

    second = Generation(tmp_path, "second", None, host, str(port), "1", "2", "64")
    _, said = second.process.communicate(timeout=10)
    assert said.decode() == f"Cannot listen on {host} port {port}: Address already in use.\n"
    # Draining, it answers whom it has, and refuses others.
    alone.process.send_signal(signal.SIGUSR1)
    deadline = time.monotonic() + 10
    while True:
        try:
            _get(_connection(host, port, timeout=2))
        except ConnectionRefusedError:
            break
        except OSError:
            pass  # arrived at the moment of the change
        assert time.monotonic() < deadline
    assert _get(connection) == ("alone", "close")
    assert alone.end() == 0
    alone.process.communicate()


def test_two_generations_share_a_port_and_nobody_who_arrives_is_refused_or_has_to_come_again(
    generation: Callable[..., Generation], tmp_path: Path
) -> None:
    alone = ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody make a network of their own")
    done = subprocess.run(
        [*alone, sys.executable, "-c", SHARING], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["['new', 'old'] 0 True"], done.stderr
