"""`make audit` on host processes: the package `deploy/audit` with the addresses of this stack's databases, as the role that
may only read."""

import os
import subprocess

from shop import postgres, services, stack, supervisor
from shop.envfile import prefix
from shop.layout import Layout, find_layout
from shop.problems import Problem
from shop.report import Progress, fail

#: The audit's exit code when a database cannot be read.
UNREADABLE = 2


def environment(env: dict[str, str], found: list[str]) -> dict[str, str]:
    """What the audit is told: one address for each service's database."""
    return {f"AUDIT_{prefix(service)}_URL": postgres.auditor_url(service, env) for service in found}


def run_audit(arguments: list[str]) -> int:
    """Audit the running stack; returns the audit's exit code."""
    try:
        layout = find_layout()
        env = _settings(layout)
    except Problem as problem:
        fail(str(problem))
        return UNREADABLE
    keep = {name: value for name in ("PATH", "TERM", "HOME", "LANG") if (value := os.environ.get(name))}
    return subprocess.run(
        [str(layout.python), "-m", "audit", *arguments],
        env={
            **keep,
            **services.runtime(layout),
            **environment(env, services.discover(layout.root)),
            "PYTHONPATH": str(layout.root / "deploy"),
        },
        check=False,
    ).returncode


def _settings(layout: Layout) -> dict[str, str]:
    shop = stack.find(layout, Progress())
    if shop is None or supervisor.pid(layout) is None:
        raise Problem("The shop is not running: `make up` starts it.")
    return shop.env
