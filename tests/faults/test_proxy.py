"""The proxy loses nothing of its own: what breaks in the other tests is what they have asked for."""

from __future__ import annotations

import json
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


class Echo(socketserver.BaseRequestHandler):
    """Says all that it was told, once it was all."""

    def handle(self) -> None:
        said = b""
        while data := self.request.recv(1000):
            said += data
        self.request.sendall(said)


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def port(echo: int) -> Iterator[int]:
    """The port of a proxy before it."""
    command = [sys.executable, "-m", "faults.proxy", "--die-with-parent"]
    with subprocess.Popen(
        command, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        print(json.dumps({"links": {"echo": echo}}), file=process.stdin, flush=True)
        yield json.loads(process.stdout.readline())["links"]["echo"]
        process.kill()


def test_what_a_client_sends_before_the_server_has_answered_the_proxy_arrives_and_so_does_its_end(
    port: int,
) -> None:
    for number in range(100):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pieces = [b"%d:%d " % (number, each) for each in range(40)]
            for piece in pieces:
                client.sendall(piece)
            client.shutdown(socket.SHUT_WR)
            assert b"".join(iter(lambda: client.recv(1000), b"")) == b"".join(pieces)
