"""Is this container's process well? Exit code 0 if so, else 1 and a sentence. Standard library only: it runs every few seconds.

The web process must listen and answer /healthz. The others have no port: they are well while they hold a connection to RabbitMQ,
which they need for everything they do and open again by themselves when it breaks.
"""

import contextlib
import http.client
import os
import sys
from pathlib import Path

AMQP_PORT = 5672
ESTABLISHED, LISTENING = "01", "0A"


def has_port(command: list[str]) -> bool:
    """Whether the process listens, or is to: `python -m shared_lib.server web` becomes `shared_lib.server.web`."""
    return not {"web", "shared_lib.server.web", "sandbox"}.isdisjoint(command)


def web(port: int) -> str:
    """What is wrong with the web process; empty if nothing is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"/healthz does not answer: {error}"
    return "" if status == 200 else f"/healthz answers {status}"


def listens(processes: Path, network: Path, port: int) -> bool:
    """True if a process of this container listens at that port. Another container may share its network, and answer there."""
    own: set[str] = set()
    for each in processes.glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):  # closed meanwhile, as those of this script are
            own.add(str(each.readlink()))
    rows = [line.split() for table in _tables(network) for line in table.splitlines()[1:]]
    return any(
        int(row[1].rpartition(":")[2], 16) == port and row[3] == LISTENING and f"socket:[{row[9]}]" in own
        for row in rows
    )


def _tables(network: Path) -> list[str]:
    return [table.read_text() for table in (network / "tcp", network / "tcp6") if table.exists()]


def connected(table: str, port: int) -> bool:
    """True if a table of sockets, as /proc/net/tcp has it, holds a connection to that port of another host."""
    rows = (line.split() for line in table.splitlines()[1:])
    return any(int(row[2].rpartition(":")[2], 16) == port and row[3] == ESTABLISHED for row in rows)


def broker(folder: Path, port: int) -> str:
    """What is wrong with a process that reads from RabbitMQ; empty if nothing is."""
    if any(connected(table, port) for table in _tables(folder)):
        return ""
    return f"no connection to RabbitMQ (port {port})"


def main() -> None:
    command = Path("/proc/1/cmdline").read_text().split("\0")
    if has_port(command):
        port = int(os.environ.get("PORT", "8000"))
        shares = os.environ.get("WEB_SHARE_PORT") == "true"
        if shares and not listens(Path("/proc"), Path("/proc/net"), port):
            wrong = f"nothing listens at port {port}"
        else:
            wrong = web(port)
    else:
        wrong = broker(Path("/proc/net"), int(os.environ.get("HEALTHCHECK_AMQP_PORT", AMQP_PORT)))
    if wrong:
        sys.exit(wrong)


if __name__ == "__main__":
    main()
