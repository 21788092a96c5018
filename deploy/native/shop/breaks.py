"""`make test-breaks`: known mistakes, each made in a copy of the tree; the test that is named for it must fail there.

The stores are a throwaway of their own, as for `make test`; tests/breaks has the mistakes and tries them.
"""

import fcntl
import json
import os
import subprocess

from shop import services, stack
from shop.layout import Layout
from shop.problems import Problem
from shop.testing import Run, suites


def run(layout: Layout) -> int:
    """Every break, or those of BREAK=NAME,NAME; the exit code is 1 unless each of them is seen."""
    state = layout.state / "breaks"
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (layout.state / "breaks.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problem("`make test-breaks` runs already in this folder: wait for it.") from None
        return _try_all(Layout(layout.root, state, state / "env"))


def _try_all(layout: Layout) -> int:
    with_database = [
        suite for suite in suites(layout.root) if suite.name in stack.tenants(layout.root, testing=True)
    ]
    stores = Run(layout, with_database)
    stores.remove()
    try:
        stores.start_stores(stores_only=True)
        stores.progress.say("everything is up")
        environments = layout.state / "environments.json"
        environments.touch(mode=0o600)
        environments.write_text(
            json.dumps({suite.name: stores.environment(suite) for suite in with_database})
        )
        keep = {name: value for name in ("PATH", "HOME", "BREAK") if (value := os.environ.get(name))}
        return subprocess.run(
            [str(layout.python), "-B", "-m", "breaks", str(environments)],
            cwd=layout.root / "tests",
            env={**keep, "LANG": "C.UTF-8", "TZ": "UTC", **services.runtime(layout)},
            check=False,
        ).returncode
    finally:
        stores.progress.say("stopping the throwaway stack")
        stack.down(layout, stores.shop.env if stores.shop else None)
        stores.progress.say("done")
