"""`make lint`: style, types, and who may import whom."""

import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from shop import services
from shop.envfile import complete
from shop.keys import ensure_keys
from shop.layout import Layout
from shop.report import Progress, table

AT_ONCE = 2
#: import-linter has no module to run by name, and a script's first line cannot hold every path.
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"


@dataclass(frozen=True)
class Check:
    """One Python command in one folder."""

    name: str
    folder: Path
    command: list[str]
    env: dict[str, str]


def checks(layout: Layout) -> Iterator[Check]:
    """Everything that is checked. mypy's Django plugin loads a service's settings, so these get harmless values."""
    root, cache, config = layout.root, layout.state / "cache", str(layout.root / "pyproject.toml")
    found = services.discover(root)
    throwaway = Layout(root, layout.state / "lint", layout.state / "lint" / "env")
    throwaway.make_folders()
    env = complete(throwaway.env_file, found, {})
    ensure_keys(throwaway, found)
    base = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}
    base |= services.runtime(layout)

    ruff = ["-m", "ruff"]
    yield Check("style", root, [*ruff, "check", "--cache-dir", f"{cache}/ruff", "."], base)
    form = ["format", "--check", "--output-format", "concise", "--cache-dir", f"{cache}/ruff", "."]
    yield Check("format", root, [*ruff, *form], base)
    paths = ":".join(str(root / name) for name in (*found, "shared-lib/src"))
    imports = ["-c", LINT_IMPORTS, "--config", config, "--cache-dir", f"{cache}/imports"]
    yield Check("imports", root, imports, {**base, "PYTHONPATH": paths})
    # Against the last tagged release: what would a service that still runs no longer understand?
    yield Check("contracts", root, ["-m", "shared_lib.contracts", "check"], base)

    for service in found:
        # Those of shared-lib's apps, which every service has, once.
        apps = ["outbox", "inbox", "idempotency"] if service == found[0] else []
        own = [service.removeprefix("svc-")] if apps else []
        beside = f"{root / service}:{root / 'deploy'}"
        command = ["-m", "migrationlint", *own, *apps]
        yield Check(f"migrations of {service}", root / service, command, {**base, "PYTHONPATH": beside})

    def types(name: str, targets: str, settings: str, extra: dict[str, str]) -> Check:
        command = [
            "-m",
            "mypy",
            "--config-file",
            settings,
            "--cache-dir",
            f"{cache}/mypy-{name.replace('/', '-')}",
        ]
        return Check(f"types in {name}", root / name, [*command, *targets.split()], {**base, **extra})

    for service in found:
        its = services.environment(throwaway, env, service, found)
        its |= {"ENVIRONMENT": "test", "DJANGO_SETTINGS_MODULE": "config.settings"}
        yield types(service, ".", config, {**its, "PYTHONPATH": str(root / service)})
    if found:
        library = root / "shared-lib"
        its = services.environment(throwaway, env, found[0], found)
        its |= {"ENVIRONMENT": "test", "DJANGO_SETTINGS_MODULE": "tests.settings"}
        yield types("shared-lib", "src", config, {**its, "PYTHONPATH": f"{library}:{library}/tests"})
    for name, targets in (
        ("deploy/native", "shop"),
        ("deploy", "mail traces apidocs audit release migrationlint backup envdocs"),
        ("deploy/docker", "containers"),
        ("gateway", "tests bench"),
        ("tests", "faults breaks load"),
    ):
        # The runner of containers and the fault tests stand on the one of host processes, which has its backups beside it.
        beside = f"{root}/deploy/native:{root}/shared-lib/src:{root}/deploy"
        # The gateway's benchmarks share what reads wrk and reports figures.
        extra = {"MYPYPATH": f"{root}/tests" if name == "gateway" else beside}
        yield types(name, targets, str(root / "deploy" / "mypy.ini"), extra)


def run_lint(layout: Layout) -> int:
    """Run every check, print what each finds, then a table."""
    progress = Progress()

    def run(check: Check) -> tuple[str, str, str]:
        began = time.monotonic()
        done = subprocess.run(
            [str(layout.python), *check.command],
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
