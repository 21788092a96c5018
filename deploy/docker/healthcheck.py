"""Is this container's process well? Exit code 0 if so, else 1 and a sentence. Standard library only: it runs every few seconds.

The web process must answer /healthz. The others have no port: they are well while they hold a connection to RabbitMQ, which
they need for everything they do and open again by themselves when it breaks.
"""

import http.client
import os
import sys
from pathlib import Path

AMQP_PORT = 5672
ESTABLISHED = "01"


def web(port: int) -> str:
    """What is wrong with the web process; empty if nothing is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"/healthz does not answer: {error}"
    return "" if status == 200 else f"/healthz answers {status}"


def connected(table: str, port: int) -> bool:
    """True if a table of sockets, as /proc/net/tcp has it, holds a connection to that port of another host."""
    rows = (line.split() for line in table.splitlines()[1:])
    return any(int(row[2].rpartition(":")[2], 16) == port and row[3] == ESTABLISHED for row in rows)


def broker(folder: Path, port: int) -> str:
    """What is wrong with a process that reads from RabbitMQ; empty if nothing is."""
    tables = [folder / "tcp", folder / "tcp6"]
    if any(connected(table.read_text(), port) for table in tables if table.exists()):
        return ""
    return f"no connection to RabbitMQ (port {port})"


def main() -> None:
    command = Path("/proc/1/cmdline").read_text().split("\0")
    if "shared_lib.server.web" in command or "sandbox" in command:
        wrong = web(int(os.environ.get("PORT", "8000")))
    else:
        wrong = broker(Path("/proc/net"), int(os.environ.get("HEALTHCHECK_AMQP_PORT", AMQP_PORT)))
    if wrong:
        sys.exit(wrong)


if __name__ == "__main__":
    main()
