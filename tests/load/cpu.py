"""CPU time of every program of a stack of host processes, from /proc: what a load costs, and where."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def seconds_by_program(state: Path) -> dict[str, float]:
    """CPU seconds, user and system, that each program below the stack's supervisor has used until now.

    `state` is the stack's state folder. A program counts its children, also those that have ended; PostgreSQL is split by
    the database that a backend serves. Raises FileNotFoundError when no supervisor has run there.
    """
    supervisor = int((state / "run" / "supervisord.pid").read_text())
    parents, used = seconds_by_process()
    names: dict[int, str] = {}
    totals: defaultdict[str, float] = defaultdict(float)
    for pid, seconds in used.items():
        top = pid
        while parents.get(top, 0) not in (0, supervisor):
            top = parents[top]
        if parents.get(top) == supervisor:
            program = names.setdefault(top, _program(top))
            totals[_backend(pid) or program if program == "postgres" else program] += seconds
    return dict(totals)


def seconds_by_process() -> tuple[dict[int, int], dict[int, float]]:
    """Of every process its parent, and the CPU seconds that it and its children that have ended have used until now."""
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(folder.name)] = int(fields[1])
            used[int(folder.name)] = sum(map(int, fields[11:15])) / TICKS
    return parents, used


def seconds_below(top: int) -> float:
    """CPU seconds that this process and all that live below it have used until now, with those that have ended."""
    parents, used = seconds_by_process()
    below = {top}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    return sum(used.get(pid, 0.0) for pid in below)


def seconds_of(pids: Iterable[int]) -> float:
    """CPU seconds that these processes have used until now; those that are gone count nothing."""
    _, used = seconds_by_process()
    return sum(used.get(pid, 0.0) for pid in pids)


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """The difference, the dearest first. A program that was started again in between is left out where it counts less."""
    rest = {name: after[name] - before.get(name, 0.0) for name in after}
    return dict(sorted(((n, s) for n, s in rest.items() if s > 0), key=lambda item: -item[1]))


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _program(pid: int) -> str:
    """Processes of services have their name for the database in their environment; others are known by their command."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        environment = []
    for entry in environment:
        if entry.startswith(b"DATABASE_APPLICATION_NAME="):
            return entry.partition(b"=")[2].decode()
    words = _command(pid).split()
    if words and words[-1].endswith(".json"):
        # The holder of a web's listening socket is told which program it is by the program's file.
        return Path(words[-1]).stem
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1]
    return words[0].rpartition("/")[2].rstrip(":") if words else str(pid)


def _backend(pid: int) -> str | None:
    """`postgres: svc_orders svc_orders 127.0.0.1(...)` serves svc_orders."""
    words = _command(pid).split()
    return (
        f"postgres {words[2]}"
        if len(words) > 3 and words[0] == "postgres:" and words[2].startswith("svc_")
        else None
    )
