"""One program of a stack: what the supervisor keeps running."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shop import processes
from shop.layout import Layout

#: Connections that may wait at a socket that is held for a program.
BACKLOG = 1024
#: All that a program gets beside what it is given: nothing of the shell that started the stack leaks in.
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Wait:
    """Something that must answer before the program is executed: `kind` is one of `shop.launch.PROBES`."""

    kind: str
    port: int
    path: str = "/"


@dataclass(frozen=True)
class Listen:
    """A TCP port of the loopback address whose socket is held for the program and handed on to its next generation.

    `workers` of the program say when they are ready. `drain_seconds` must be more than the time for which any client keeps an
    idle connection.
    """

    port: int
    workers: int = 1
    drain_seconds: float = 6.0


@dataclass(frozen=True)
class Program:
    """What to run, for whom, after what, and how it ends.

    `phase` orders the stop: the edge first, then services, then stores. `death_signal` is what the kernel sends when the
    supervisor dies. `listens` are the ports that only this program may hold. `reads` are files that it reads at its start
    only: another content means a restart. With `listen` the program is started by `shop.handover`, which hands its socket on.
    """

    name: str
    argv: list[str]
    cwd: Path
    phase: str
    env: dict[str, str] = field(default_factory=dict)
    user: str | None = None
    waits: tuple[Wait, ...] = ()
    listens: tuple[int, ...] = ()
    listen: Listen | None = None
    reads: tuple[Path, ...] = ()
    stop_signal: str = "TERM"
    stop_seconds: int = 10
    death_signal: str = "KILL"

    def spec(self, layout: Layout) -> str:
        """What the launcher reads, as JSON. Holds secrets: the file is private."""
        env = {
            "PATH": SEARCH_PATH,
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "HOME": str(layout.state),
            processes.MARKER: str(layout.state),
            **self.env,
        }
        content: dict[str, Any] = {
            "name": self.name,
            "argv": self.argv,
            "cwd": str(self.cwd),
            "env": env,
            "user": self.user,
            "waits": [vars(wait) for wait in self.waits],
            "death_signal": self.death_signal,
            "listens": self.listens,
            "reads": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in self.reads},
            "lock": str(layout.locks / self.name),
            "supervisor_pid_file": str(layout.run / "supervisord.pid"),
        }
        if self.listen:
            content["listen"] = {
                **vars(self.listen),
                "host": "127.0.0.1",
                "backlog": BACKLOG,
                "control": str(layout.control(self.name)),
            }
        return json.dumps(content, indent=1, sort_keys=True)
