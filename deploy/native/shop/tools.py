"""Programs of the distribution: where they are, and a sentence for one that is missing."""

import shutil
import subprocess
from pathlib import Path

from shop.problems import Problem
from shop.program import SEARCH_PATH

OLDEST_POSTGRES = 15


def find(name: str) -> str:
    """The path of a program; raises Problem when it is not installed."""
    found = shutil.which(name, path=SEARCH_PATH)
    if not found:
        raise Problem(
            f"{name} is missing: run `make up` again where packages can be installed, or install it yourself."
        )
    return found


def postgres_bin(major: int | None = None) -> Path:
    """The folder of PostgreSQL's programs: of version `major`, else of the newest."""
    versions = {
        int(path.parents[1].name): path.parent
        for path in Path("/usr/lib/postgresql").glob("[0-9]*/bin/postgres")
    }
    if major is not None and major not in versions:
        raise Problem(
            f"The data folder was made by PostgreSQL {major}, which is not installed: install postgresql-{major},"
            " or start over with `make clean`."
        )
    usable = [version for version in versions if version >= OLDEST_POSTGRES]
    if not usable:
        raise Problem(f"PostgreSQL {OLDEST_POSTGRES} or newer is missing: install the package postgresql.")
    return versions[major or max(usable)]


def run(
    command: list[str],
    *,
    doing: str,
    user: str | None = None,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    stdin: str = "",
    timeout: float = 120,
) -> str:
    """Run to the end and return what it printed; raises Problem with the last line that it said when it fails."""
    from shop.disk import explain_full

    environment = {"PATH": SEARCH_PATH, "LANG": "C.UTF-8", "TZ": "UTC", **(env or {})}
    try:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=cwd,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Problem(f"{doing} did not end within {timeout:.0f} s.") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or [f"exit code {done.returncode}"]
        explain_full("\n".join(said))
        raise Problem(f"{doing} failed: {said[-1]}")
    return done.stdout
