"""What runs: read from /proc, so that no list of names or pids can be out of date."""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

#: Set in the environment of every program of a stack; the value is the state folder.
MARKER = "SHOP_STATE"


def pids() -> Iterator[int]:
    """Every process that is visible, zombies included."""
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def stat(pid: int) -> tuple[str, int] | None:
    """State letter and parent of a process; None if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], int(fields[1])


def alive(pid: int) -> bool:
    """True while the process exists and is no zombie."""
    found = stat(pid)
    return found is not None and found[0] not in "ZX"


def command(pid: int) -> str:
    """The command line, or the name in brackets, or "?" when it is gone."""
    with suppress(OSError):
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        return line or f"[{Path(f'/proc/{pid}/comm').read_text().strip()}]"
    return "?"


def descendants(pid: int) -> list[int]:
    """Every live process below `pid`, without itself."""
    children: dict[int, list[int]] = {}
    for other in pids():
        found = stat(other)
        if found and found[0] not in "ZX":
            children.setdefault(found[1], []).append(other)
    result: list[int] = []
    stack = [pid]
    while stack:
        below = children.get(stack.pop(), [])
        result += below
        stack += below
    return result


def open_files(pid: int) -> Iterator[str]:
    """What the descriptors of a process point to; nothing for a process of another user."""
    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                yield str(descriptor.readlink())


def of_stack(state: Path) -> list[int]:
    """Every live process of the stack in `state`, found by what it inherited.

    The launcher gives each program an open lock file and a marker in its environment. Either is enough: PostgreSQL and
    Nginx overwrite their environment, others close inherited files.
    """
    locks = f"{state}/run/locks/"
    marker = f"{MARKER}={state}".encode()
    found = []
    for pid in pids():
        if pid == os.getpid() or not alive(pid):
            continue
        with suppress(OSError):
            if marker in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
                continue
        if any(target.startswith(locks) for target in open_files(pid)):
            found.append(pid)
    return found


def kill_all(targets: Iterable[int], *, patience: float = 5.0) -> list[int]:
    """SIGKILL, then wait until they are gone; returns those still there after `patience` seconds."""
    left = list(targets)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + patience
    while (left := [pid for pid in left if alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left
