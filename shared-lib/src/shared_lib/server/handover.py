"""What a web worker does while one generation of its service takes over from another on the same listening socket.

The environment says what was handed over, in the way of systemd: `LISTEN_FDS=1` and `LISTEN_PID` for the listening socket
at descriptor 3. `READY_FD` is a pipe to whoever started this generation and waits for it.
"""

from __future__ import annotations

import ctypes
import io
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from shared_lib.server import signals

LISTEN_FD = 3
#: Seconds between two looks whether a new worker can serve.
_LOOK = 0.2
#: Nobody is in line once so many looks in a row, so many seconds apart, have found nobody; given up after so many seconds.
_QUEUE_LOOKS, _QUEUE_SECONDS, _QUEUE_MOST = 3, 0.1, 5.0
_SO_ATTACH_FILTER = 26
_MIGRATES = Path("/proc/sys/net/ipv4/tcp_migrate_req")

#: Of the listening socket, in the master and so in its workers.
descriptor: int | None = None

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def inherited() -> socket.socket | None:
    """The listening socket that was handed to this process, or None."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        return None
    return socket.socket(fileno=LISTEN_FD)


class Draining:
    """A WSGI application whose answers close their connection once `begin` was called.

    A client that keeps connections thus learns of each of them, in an answer, that the next request needs another one. A
    server that just closed them would lose requests that are on their way.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._draining = False

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            # Asked when the answer begins, so that requests that were in flight already close theirs too.
            return start_response(
                status, [*headers, ("Connection", "close")] if self._draining else headers, *more
            )

        return self._application(environ, start)

    def begin(self, *_: Any) -> None:
        """Accept nothing more, and close each connection with its next answer."""
        self._draining = True
        if descriptor is not None:
            stop_accepting(descriptor)


def stop_accepting(listening: int) -> None:
    """Have this process accept nothing at that descriptor any more, though its server goes on serving the connections it has.

    What waits at a socket that was handed over is for the next generation, and so is what waits at a socket whose port is
    shared, where the kernel moves it there. At a socket of its own nobody new gets in line first, so that none is reset when
    the last process lets go of it; after that, connections are refused.
    """
    if "LISTEN_FDS" not in os.environ and not (shares_port() and _kernel_moves_who_waits()):
        with socket.socket(fileno=os.dup(listening)) as listener:
            _refuse_newcomers(listener)
            _let_in_who_waits(listener)
    # The server cannot be asked to stop accepting. So its descriptor gets another socket, at which nobody arrives.
    deaf = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    deaf.bind(b"\0" + os.urandom(32))
    deaf.listen(1)
    os.dup2(deaf.fileno(), listening)
    deaf.close()


def shares_port() -> bool:
    """Whether another generation may listen at the same address and port, with a socket of its own."""
    return os.environ.get("WEB_SHARE_PORT") == "true"


def _kernel_moves_who_waits() -> bool:
    # Linux 5.14 or newer, where it is told to in the network namespace of this process.
    try:
        return _MIGRATES.read_text().strip() == "1"
    except OSError:
        return False


def _refuse_newcomers(listener: socket.socket) -> None:
    # Classic BPF on what reaches the listening socket, from the TCP header on: a segment with SYN is dropped, and so comes
    # again a second later; all others pass, among them those of handshakes that have begun.
    code = [
        (0x30, 0, 0, 13),  # load the byte with the flags
        (0x45, 0, 1, 0x02),  # SYN?
        (0x06, 0, 0, 0),  # drop
        (0x06, 0, 0, 0xFFFF),  # keep
    ]
    program = b"".join(struct.pack("HBBI", *line) for line in code)
    instructions = ctypes.create_string_buffer(program)
    filter_ = struct.pack("HL", len(code), ctypes.addressof(instructions))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_)


def _let_in_who_waits(listener: socket.socket) -> None:
    """Return when the server has accepted whoever was in line, handshakes that had begun among them."""
    line = select.poll()
    line.register(listener, select.POLLIN)
    looks, deadline = 0, time.monotonic() + _QUEUE_MOST
    while looks < _QUEUE_LOOKS and time.monotonic() < deadline:
        time.sleep(_QUEUE_SECONDS)
        looks = 0 if line.poll(0) else looks + 1


def enter(application: Application) -> Application:
    """In a worker, once its application is loaded: wait until it can serve, say so, and be ready to drain.

    With `READY_FD`, or `WEB_WAIT_READY=true` where the address of a container tells when it serves; else a service whose
    database is away says so by itself.
    """
    ready = os.environ.get("READY_FD")
    if ready or os.environ.get("WEB_WAIT_READY") == "true":
        _get_ready(application, int(ready) if ready else None)
    draining = Draining(application)
    signal.signal(signal.SIGUSR1, draining.begin)
    signals.heed()
    return draining


def _get_ready(application: Application, told: int | None) -> None:
    pipe = select.poll()
    if told is not None:
        # A worker that comes later, in place of one that died, finds that nobody reads any more.
        pipe.register(told, 0)
    said = ""
    while not pipe.poll(0):
        answer = _not_ready(application)
        if not answer:
            break
        if answer != said:
            said = answer
            print(f"not ready yet: {answer}", file=sys.stderr, flush=True)
        time.sleep(_LOOK)
    if told is not None:
        with suppress(BrokenPipeError):
            os.write(told, b".")
        os.close(told)


def _not_ready(application: Application) -> str:
    """What /readyz says against serving, asked within this process; empty if nothing."""
    seen: list[str] = []
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/readyz",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    answer = application(environ, lambda status, headers, *more: seen.append(status))
    body = b"".join(answer)
    close = getattr(answer, "close", None)
    if close:
        close()
    return "" if seen[0].startswith("200") else f"{seen[0]}: {body.decode(errors='replace').strip()}"
