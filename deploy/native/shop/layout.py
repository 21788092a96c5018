"""Where everything of one stack lives. Two stacks never share a path: everything hangs below the state folder."""

import os
from dataclasses import dataclass
from pathlib import Path

from shop.problems import Problem

ROOT = Path(__file__).resolve().parents[3]
#: SQLite, which the sandbox provider uses, stops at 512 characters for a file; PostgreSQL at 1023.
LONGEST_STATE_PATH = 450


@dataclass(frozen=True)
class Layout:
    """The paths of one stack.

    `root` is the repository, `state` the folder of everything the stack writes, `env_file` its settings and secrets.
    """

    root: Path
    state: Path
    env_file: Path

    @property
    def python(self) -> Path:
        return self.root / ".local" / "venv" / "bin" / "python"

    @property
    def run(self) -> Path:
        """Pid files, locks, stamps, rendered configuration: may be rebuilt at any time."""
        return self.state / "run"

    @property
    def programs(self) -> Path:
        return self.run / "programs"

    @property
    def locks(self) -> Path:
        return self.run / "locks"

    def control(self, program: str) -> Path:
        """The socket at which the holder of a program's port is asked for the next generation."""
        return self.run / "control" / program

    @property
    def stamps(self) -> Path:
        return self.run / "stamps"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def keys(self) -> Path:
        return self.state / "keys"

    @property
    def data(self) -> Path:
        """What must survive a restart: Redis, RabbitMQ, mails, pictures, the sandbox's payments."""
        return self.state / "data"

    @property
    def media(self) -> Path:
        return self.data / "media"

    def make_folders(self) -> None:
        """Create every folder of the stack, readable by its owner only."""
        try:
            for folder in (
                self.state,
                self.run,
                self.programs,
                self.locks,
                self.stamps,
                self.logs,
                self.keys,
                self.data,
                self.media,
            ):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                if not os.access(folder, os.W_OK | os.X_OK):
                    raise Problem(
                        f"{folder} belongs to somebody else: use the user that made it, or remove it as that user."
                    )
        except OSError as error:
            raise Problem(
                f"{error.filename or self.state} cannot be made ({error.strerror}): choose a folder you can write."
            ) from None


def find_layout(environ: dict[str, str] | None = None) -> Layout:
    """The layout that `SHOP_STATE_DIR` and `SHOP_ENV_FILE` name, else `.local` and `.env` of the repository.

    Raises Problem for a path that a part of the stack cannot stand.
    """
    env = dict(os.environ) if environ is None else environ
    state = Path(env.get("SHOP_STATE_DIR") or ROOT / ".local").absolute()
    env_file = Path(env.get("SHOP_ENV_FILE") or ROOT / ".env").absolute()
    for path in (ROOT, state, env_file):
        bad = sorted({c for c in str(path) if c in "\"'\\;$*?`%{}#" or ord(c) < 32})
        if bad:
            raise Problem(
                f"The path {str(path)!r} contains {' '.join(map(repr, bad))}, which configuration files of the"
                " stack cannot carry: move the folder to a path without."
            )
    if len(str(state)) > LONGEST_STATE_PATH:
        raise Problem(
            f"The state folder's path is {len(str(state))} characters long; {LONGEST_STATE_PATH} is the most:"
            " move the folder higher up."
        )
    return Layout(root=ROOT, state=state, env_file=env_file)
