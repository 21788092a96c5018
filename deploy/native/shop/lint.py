"""`make lint`: style, types, and who may import whom."""

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from shop import services
from shop.envfile import complete
from shop.keys import ensure_keys
from shop.layout import Layout
from shop.report import Progress, table

AT_ONCE = 2


@dataclass(frozen=True)
class Check:
    """One command in one folder."""

    name: str
    folder: Path
    command: list[str]
    env: dict[str, str]


def checks(layout: Layout) -> list[Check]:
    """Everything that is checked. mypy's Django plugin loads the settings of a service, so these get harmless values."""
    root, python = layout.root, str(layout.python)
    found = services.discover(root)
    throwaway = Layout(root, layout.state / "lint", layout.state / "lint" / "env")
    throwaway.make_folders()
    env = complete(throwaway.env_file, found, {})
    ensure_keys(throwaway, found)
    base = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        **services.runtime(layout),
    }
    config, cache = str(root / "pyproject.toml"), layout.state / "cache"
    result = [
        Check("ruff check", root, [python, "-m", "ruff", "check", "--cache-dir", f"{cache}/ruff", "."], base),
        Check(
            "ruff format",
            root,
            [python, "-m", "ruff", "format", "--check", "--cache-dir", f"{cache}/ruff", "."],
            base,
        ),
        Check(
            "imports",
            root,
            [
                str(layout.python.with_name("lint-imports")),
                "--config",
                config,
                "--cache-dir",
                f"{cache}/imports",
            ],
            {**base, "PYTHONPATH": ":".join(str(root / name) for name in (*found, "shared-lib/src"))},
        ),
    ]
    for name in ("shared-lib", "deploy/native", "deploy", *found):
        types = [
            python,
            "-m",
            "mypy",
            "--config-file",
            config,
            "--cache-dir",
            f"{cache}/mypy-{name.replace('/', '-')}",
        ]
        service = name if name in found else (found or [""])[0]
        its = services.environment(throwaway, env, service, found) if service else {}
        target = {"shared-lib": ["src", "tests"], "deploy/native": ["shop"], "deploy": ["mail"]}.get(
            name, ["."]
        )
        result.append(
            Check(f"types in {name}", root / name, [*types, *target], {**base, **its, "ENVIRONMENT": "test"})
        )
    return result


def run_lint(layout: Layout) -> int:
    """Run every check, print what each finds, then a table."""
    progress = Progress()

    def run(check: Check) -> tuple[str, str, str]:
        began = time.monotonic()
        done = subprocess.run(
            check.command,
            cwd=check.folder,
            env=check.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            print(f"----- {check.name}\n{done.stdout}{done.stderr}", flush=True)
        return check.name, "FAILED" if done.returncode else "ok", f"{time.monotonic() - began:.1f} s"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        rows = list(pool.map(run, checks(layout)))
    print(table(rows, head=("check", "result", "time")))
    print(f"\n{progress.seconds:.0f} s")
    return 1 if any(result != "ok" for _, result, _ in rows) else 0
