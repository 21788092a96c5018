"""`make bench`: everything that docs/benchmarks.md has figures of, and each of its parts.

What is measured stands with what it measures: tests/load for the services, gateway/bench for the gateway. This starts what
each needs, a throwaway stack that is gone afterwards, and makes one report of what they hand over.
"""

import argparse
import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shop import postgres, rabbitmq, services, stack, supervisor
from shop.layout import Layout
from shop.ports import choose_block
from shop.problems import Problem
from shop.report import Progress

#: Seconds that a stack is left alone before its memory is counted.
IDLE = 10


def run(layout: Layout, arguments: argparse.Namespace, name: str) -> int:
    """One benchmark, with its own options; returns its exit code."""
    if name in ("catalog", "gateway"):
        _need_wrk()
    options = [*([arguments.service] if arguments.service else []), *arguments.rest]
    if name == "gateway":
        return _gateway(layout, *options)
    if name == "checkout" and supervisor.pid(layout) is not None and (shop := stack.find(layout, Progress())):
        return _checkout(shop, *options)
    with _one_at_a_time(layout) as its, _throwaway(its) as bench:
        if name == "checkout":
            bench.serve()
            return _checkout(bench.shop, *options)
        return {"catalog": _catalog, "events": _events}[name](bench.shop, *options)


def run_all(layout: Layout, arguments: argparse.Namespace) -> int:
    """All of them and one report, on standard output and in .local/reports/bench.md. Exit code 1 for a wrong answer.

    Options are those of `make bench-catalog`.
    """
    _need_wrk()
    reports = layout.state / "reports"
    reports.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _one_at_a_time(layout) as its, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        files = [
            Path(folder, f"{name}.json") for name in ("gateway", "catalog", "events", "idle", "checkout")
        ]
        gateway, catalog, events, idle, checkout = (("--figures", str(path)) for path in files)
        # While nothing else runs: it needs no stack.
        codes = [_gateway(layout, *gateway)]
        with _throwaway(its) as bench:
            codes.append(_catalog(bench.shop, *catalog, *arguments.rest))
            codes.append(_events(bench.shop, *events))
            bench.serve()
            codes.append(_idle(bench.shop, bench.again(), *idle))
            codes.append(_checkout(bench.shop, *checkout))
        written = [str(path) for path in files if path.exists()]
        report = reports / "bench.md"
        codes.append(_load(layout, "report.py", *written, "--output", str(report)))
    print(f"\nThe report is {report}.")
    return 1 if any(codes) else 0


def _need_wrk() -> None:
    if shutil.which("wrk") is None:
        raise Problem("wrk, which makes the requests, is missing: install the package wrk.")


@contextmanager
def _one_at_a_time(layout: Layout) -> Iterator[Layout]:
    """The layout of the throwaway stack; raises Problem where another benchmark has it."""
    state = layout.state / "bench"
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (layout.state / "bench.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problem("A benchmark runs already in this folder: wait for it.") from None
        yield Layout(layout.root, state, state / "env")


class _Throwaway:
    """A stack whose PostgreSQL syncs each commit to disk, as that of the shop does."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.progress = Progress()
        given = {"GATEWAY_PORT": str(choose_block(1)[0]), "TRACE_RATIO": "0"}
        self.shop = self._create(given, stores_only=True)
        self.progress.say("starting a throwaway stack")
        self.shop.configure()
        self.shop.infrastructure()
        self.shop.databases()
        self.shop.ready.port("amqp", "RABBITMQ_PORT", "rabbitmq")

    def serve(self) -> None:
        """Start the services and the gateway too."""
        self.progress.say("starting the services")
        self.shop = self._create({}, stores_only=False)
        self.shop.up()

    def again(self) -> float:
        """Seconds that `make up` takes when everything is up."""
        began = time.monotonic()
        self._create({}, stores_only=False).up()
        return time.monotonic() - began

    def _create(self, given: dict[str, str], *, stores_only: bool) -> stack.Stack:
        return stack.create(
            self.layout, Progress(), given, testing=True, durable=True, stores_only=stores_only
        )


@contextmanager
def _throwaway(layout: Layout) -> Iterator[_Throwaway]:
    # An interrupted run may have left one.
    stack.down(layout, None)
    postgres.remove_data(layout)
    shutil.rmtree(layout.state, ignore_errors=True)
    env: dict[str, str] | None = None
    try:
        bench = _Throwaway(layout)
        env = bench.shop.env
        yield bench
    finally:
        stack.down(layout, env)
        postgres.remove_data(layout)


def _catalog(shop: stack.Stack, *options: str) -> int:
    env = services.environment(shop.layout, shop.env, "svc-catalog", shop.services)
    return _load(shop.layout, "catalog.py", *options, BENCH_DATABASE=_owner(shop), **env)


def _events(shop: stack.Stack, *options: str) -> int:
    """In the virtual host of shared-lib's tests, where nothing else is."""
    broker = rabbitmq.url("shared-lib", shop.env, rabbitmq.test_host("events", "shared-lib"))
    return _load(shop.layout, "events.py", *options, BENCH_DATABASE=_owner(shop), BENCH_BROKER=broker)


def _checkout(shop: stack.Stack, *options: str) -> int:
    database = postgres.url("svc-orders", shop.env)
    return _load(shop.layout, "checkout.py", *options, BENCH_ORDERS_DATABASE=database, **shop.for_clients())


def _idle(shop: stack.Stack, up_again: float, *options: str) -> int:
    time.sleep(IDLE)
    return _load(shop.layout, "idle.py", "--up-again", f"{up_again:.3f}", *options, **shop.for_clients())


def _gateway(layout: Layout, *options: str) -> int:
    return _python(layout, layout.root / "gateway", "-m", "bench.bench", *options)


def _load(layout: Layout, script: str, *options: str, **more: str) -> int:
    """Run a program of tests/load."""
    return _python(layout, layout.root / "tests", f"load/{script}", *options, **more)


def _python(layout: Layout, folder: Path, *command: str, **more: str) -> int:
    keep = {name: value for name in ("PATH", "TERM", "HOME", "LANG") if (value := os.environ.get(name))}
    env = {**keep, **services.runtime(layout), "PYTHONPATH": str(layout.root / "tests"), **more}
    return subprocess.run([str(layout.python), *command], cwd=folder, env=env, check=False).returncode


def _owner(shop: stack.Stack) -> str:
    """PostgreSQL as the owner of the cluster, who may make databases and write without checks."""
    return f"postgresql://postgres:{shop.env['POSTGRES_PASSWORD']}@127.0.0.1:{shop.env['POSTGRES_PORT']}/postgres"
