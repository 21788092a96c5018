"""The web server of a service: Granian (WSGI) on one listening socket, which outlives it where somebody else holds it.

    python -m shared_lib.server.web HOST PORT WORKERS THREADS BACKPRESSURE

A socket that was handed over (`LISTEN_FDS`, as systemd's socket activation does it) is served instead of HOST and PORT. So
two generations can serve one port: no connection is refused or reset while the second takes over from the first. What
they owe each other is here and in `shared_lib.server.handover`:

- each worker of a new generation says that it is ready, after its application is loaded and answers /readyz, and only then
  accepts (`READY_FD`);
- on SIGUSR1 the old generation drains: it accepts nothing more, and each answer closes its connection. Then whoever started it
  waits until no client can still use an idle connection, and sends SIGTERM.

Containers cannot be handed a socket. Where two of them share a network, and so an address, each generation has a socket of its
own at the same port (`WEB_SHARE_PORT`); what waits at the one that drains goes to the other, if the kernel is told to do so
(net.ipv4.tcp_migrate_req). Any other socket of its own refuses what arrives once it drains. Who arrives there at that very moment
may have to wait a second, or be reset, so whoever sends requests there has to be told first.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer

from shared_lib.server import handover, signals

BACKLOG = 1024
#: Seconds that requests may still take after SIGTERM: more than the gateway waits for the slowest (GATEWAY_TIME_LONG).
KILL_SECONDS = 65


class Server(MPServer):
    """Granian's server with one listening socket for all its workers, made by us or given to us.

    Granian itself opens a socket for each worker (SO_REUSEPORT): the kernel resets what waits at a socket that closes.
    """

    listener: socket.socket
    # Granian's own types know neither of these, nor what the holder of a socket is made from.
    _sfd: Any
    _shd: Any

    def _init_shared_socket(self) -> None:
        self._ssp = None
        self._sso = None
        self._sfd = self.listener.fileno()
        holder: Any = SocketHolder
        self._shd = holder(self._sfd, False, BACKLOG)

    def drain(self, *_: Any) -> None:
        """In the master, on SIGUSR1. A worker that dies now is not replaced: it would accept again."""
        self.respawn_failed_workers = False
        handover.stop_accepting(self.listener.fileno())
        workers: list[Any] = self.wrks
        for worker in workers:
            if worker.is_alive():
                os.kill(worker.inner.pid, signal.SIGUSR1)


def _bind(host: str, port: int) -> socket.socket:
    """A socket at that address. Whoever connects is refused until a worker, whose application is loaded, listens."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if handover.shares_port():
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        sys.exit(f"Cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}.")
    return listener


def main(host: str, port: str, workers: str, threads: str, backpressure: str) -> None:
    """Serve until SIGTERM. An address that is taken ends it with a sentence."""
    listener = handover.inherited()
    if listener is None:
        listener = _bind(host, int(port))
    handover.descriptor = listener.fileno()
    # Workers find the socket, and the pipe to whom they are ready for, at the descriptors of their master.
    multiprocessing.set_start_method("fork")
    os.environ["SHOP_WEB_MASTER"] = str(os.getpid())
    server = Server(
        "config.wsgi:application",
        address=host,
        port=int(port),
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        workers=int(workers),
        blocking_threads=int(threads),
        backlog=BACKLOG,
        backpressure=int(backpressure),
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=KILL_SECONDS,
        log_access=False,
        log_level=LogLevels.warning,
    )
    server.listener = listener
    signal.signal(signal.SIGUSR1, server.drain)
    signals.heed()
    server.serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
