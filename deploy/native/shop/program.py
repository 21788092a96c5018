"""One program of a stack: what the supervisor keeps running."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shop import processes
from shop.layout import Layout

#: All that a program gets beside what it is given: nothing of the shell that started the stack leaks in.
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Wait:
    """Something that must answer before the program is executed: `kind` is one of `shop.launch.PROBES`."""

    kind: str
    port: int
    path: str = "/"


@dataclass(frozen=True)
class Program:
    """What to run, for whom, after what, and how it ends.

    `phase` orders the stop: the edge first, then services, then stores. `death_signal` is what the kernel sends when the
    supervisor dies. `listens` are the ports that only this program may hold. `reads` are files that it reads at its start
    only: another content means a restart.
    """

    name: str
    argv: list[str]
    cwd: Path
    phase: str
    env: dict[str, str] = field(default_factory=dict)
    user: str | None = None
    waits: tuple[Wait, ...] = ()
    listens: tuple[int, ...] = ()
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
        return json.dumps(content, indent=1, sort_keys=True)
