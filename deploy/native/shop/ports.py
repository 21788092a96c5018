"""Ports: which are free, who holds one, and a block for a new stack."""

import random
import socket
from collections.abc import Collection
from pathlib import Path

from shop import processes

LOWEST = 20000
#: The state of a listening socket in /proc/net/tcp.
LISTENING = "0A"
#: A block of ports of one stack is this wide, so that two stacks that start at once rarely meet.
STEP = 64


def listening() -> dict[int, list[tuple[str, str]]]:
    """By TCP port, the address and the socket, as /proc names it, of each that listens on it."""
    found: dict[int, list[tuple[str, str]]] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == LISTENING:
                address, _, port = fields[1].rpartition(":")
                found.setdefault(int(port, 16), []).append((address, f"socket:[{fields[9]}]"))
    return found


def holder(port: int) -> str | None:
    """Who listens on the TCP port: "nginx (pid 12)"; None when nobody does."""
    sockets = {socket for _, socket in listening().get(port, [])}
    if not sockets:
        return None
    for pid in processes.pids():
        if sockets.intersection(processes.open_files(pid)):
            return f"{processes.command(pid).split(' ')[0].rpartition('/')[2]} (pid {pid})"
    return "a process of another user"


def is_free(port: int) -> bool:
    """True if a server could listen on the port on every address now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def choose_block(size: int, taken: Collection[int] = ()) -> list[int]:
    """`size` free ports in a row below the range from which the kernel takes ports for outgoing connections.

    None of `taken` is among them: ports that are promised to somebody who does not listen yet.
    """
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    highest = ephemeral if ephemeral > LOWEST + STEP else 65536
    bases = list(range(LOWEST if highest > LOWEST + STEP else 1024, highest - STEP, STEP))
    random.shuffle(bases)
    for base in bases:
        block = list(range(base, base + size))
        if all(port not in taken and is_free(port) for port in block):
            return block
    raise OSError(f"no {size} free ports in a row between {LOWEST} and {highest}")
