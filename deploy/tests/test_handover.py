"""The holder of a listening socket, with a small program that serves it in the place of a web server."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shop import handover, launch, ports, processes, rolling
from shop.layout import ROOT, Layout
from shop.problems import Problem
from shop.program import Listen, Program

#: Answers each connection with its name. `silent` never says that it is ready, `broken` ends before it could.
SERVER = """
import os, signal, socket, sys, time
name = sys.argv[1]
if name == "broken":
    sys.exit(3)
listener = socket.socket(fileno=3)
assert os.environ["LISTEN_PID"] == str(os.getpid()) and os.environ["LISTEN_FDS"] == "1"
signal.signal(signal.SIGUSR1, lambda *_: listener.close())
if "READY_FD" in os.environ and name != "silent":
    os.write(int(os.environ["READY_FD"]), b".")
print(name, "runs", flush=True)
while name != "silent" and listener.fileno() != -1:
    try:
        connection, _ = listener.accept()
    except OSError:
        break
    connection.sendall(name.encode())
    connection.close()
time.sleep(60)
"""


class Held:
    """A program behind the launcher and its holder."""

    def __init__(self, folder: Path) -> None:
        self.layout = Layout(ROOT, folder, folder / "env")
        self.layout.make_folders()
        self.port = ports.choose_block(1)[0]
        self.log = self.layout.logs / "it.log"
        (self.layout.run / "supervisord.pid").write_text(str(os.getpid()))
        (folder / "server.py").write_text(SERVER)
        self.write("one")
        command = [sys.executable, "-I", "-S", launch.__file__, str(self.layout.programs / "it.json")]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output)
        while self.answer() != "one":
            time.sleep(0.02)

    def program(self, name: str) -> Program:
        return Program(
            name="it",
            argv=[sys.executable, "-I", "-S", str(self.layout.state / "server.py"), name],
            cwd=self.layout.state,
            phase="services",
            listen=Listen(self.port, drain_seconds=0.2),
        )

    def write(self, name: str) -> None:
        (self.layout.programs / "it.json").write_text(self.program(name).spec(self.layout))

    def next(self, name: str) -> None:
        rolling.hand_on(self.layout, self.program(name))

    def answer(self) -> str:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                return connection.recv(99).decode()
        except ConnectionRefusedError:
            return ""

    def pids(self) -> list[int]:
        return processes.descendants(self.process.pid)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    # A path longer than a Unix socket's name may be.
    it = Held(tmp_path / ("long" * 30))
    yield it
    it.process.kill()
    it.process.wait()


def test_the_next_generation_takes_the_socket_over(held: Held) -> None:
    before = held.pids()
    held.next("two")
    assert held.answer() == "two"
    assert len(held.pids()) == 1
    assert held.pids() != before
    assert len(ports.listening()[held.port]) == 1


@pytest.mark.parametrize(
    ("name", "why"),
    [("broken", "ended with exit code 3 before it was ready"), ("silent", "was not ready within 1 s")],
)
def test_one_that_does_not_get_ready_is_ended_and_the_one_before_goes_on(
    held: Held, name: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = held.pids()
    monkeypatch.setenv("SHOP_READY_SECONDS", "1" if name == "silent" else "20")
    with pytest.raises(
        Problem, match=f"The new process of it {re.escape(why)}; the one before goes on serving"
    ):
        held.next(name)
    assert held.answer() == "one"
    assert held.pids() == before
    # What starts after a crash is what served.
    assert json.loads((held.layout.programs / "it.json").read_text())["argv"][-1] == "one"
    monkeypatch.setenv("SHOP_READY_SECONDS", "20")
    held.next("two")
    assert held.answer() == "two"


def test_a_program_that_dies_takes_the_holder_with_it(held: Held) -> None:
    os.kill(held.pids()[0], signal.SIGKILL)
    assert held.process.wait(5) == 1
    assert held.answer() == ""


def test_a_holder_that_is_killed_takes_the_program_with_it(held: Held) -> None:
    (program,) = held.pids()
    held.process.kill()
    held.process.wait()
    deadline = time.monotonic() + 5
    while processes.alive(program):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with pytest.raises(Problem, match="cannot be asked for"):
        held.next("two")


def test_a_patience_that_is_no_number_is_a_sentence(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_READY_SECONDS", "soon")
    with pytest.raises(Problem, match="SHOP_READY_SECONDS must be a whole number"):
        held.next("two")
    assert held.answer() == "one"


def test_a_stop_ends_both(held: Held) -> None:
    (program,) = held.pids()
    held.process.terminate()
    assert held.process.wait(5) == 0
    assert not processes.alive(program)


def test_clients_give_an_idle_connection_up_before_a_server_that_drains_closes_it() -> None:
    """Else a request could be on its way on a connection at the moment in which it is closed."""
    render = (ROOT / "gateway" / "bin" / "render").read_text()
    client = (ROOT / "shared-lib" / "src" / "shared_lib" / "http" / "client.py").read_text()
    edge = re.search(r"keepalive_timeout (\d+)s", render)
    inside = re.search(r"_KEEPALIVE_SECONDS = ([\d.]+)", client)
    assert edge
    assert inside
    assert max(float(edge[1]), float(inside[1])) + 2 <= Listen(1).drain_seconds < handover.END_SECONDS
