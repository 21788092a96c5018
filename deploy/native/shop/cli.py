"""The verbs of `deploy/shop`."""

import argparse
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from shop import gateway, monitoring, postgres, releases, rolling, services, stack, supervisor
from shop.envfile import load
from shop.layout import Layout, find_layout
from shop.ports import holder
from shop.problems import Problem
from shop.report import Progress, fail, table

#: Names on the command line of make that are settings of `.env`.
SETTABLE = ("GATEWAY_PORT",)


@contextmanager
def only_one(layout: Layout) -> Iterator[None]:
    """Two commands that start or stop the same stack would undo each other: the second one waits for the first."""
    layout.make_folders()
    with (layout.run / "command.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another command works on this stack; waiting for it.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def up(layout: Layout, arguments: argparse.Namespace) -> int:
    progress = Progress()
    given = {name: value for name in SETTABLE if (value := os.environ.get(name))}
    with only_one(layout):
        shop = stack.create(layout, progress, given)
        shop.up()
        print(summary(shop))
        if shop.started:
            print(f"\nReady after {progress.seconds:.1f} s.")
        else:
            print(f"\nEverything was up already ({progress.seconds:.1f} s).")
    return 0


def summary(shop: stack.Stack) -> str:
    """The table of addresses and logins."""
    base = services.base_url(shop.env)
    rows = []
    if gateway.present(shop.layout):
        rows += [
            ("Shop", f"{base}/api/v1/catalog/products"),
            ("API reference", f"{base}/docs"),
            ("Mail catcher", f"{base}/dev/mail/"),
            ("Health", f"{base}/readyz"),
        ]
    rows += [
        (name, f"{login}@example.com  password {shop.env['DEMO_PASSWORD']}")
        for name, login in (("Buyer", "buyer"), ("Seller", "seller"), ("Admin", "admin"))
    ]
    rows += [
        ("PostgreSQL", f"127.0.0.1:{shop.env['POSTGRES_PORT']}"),
        ("Redis", f"127.0.0.1:{shop.env['REDIS_PORT']}"),
        ("RabbitMQ", f"127.0.0.1:{shop.env['RABBITMQ_PORT']}"),
        ("Logs", f"{shop.layout.logs}  (make logs SERVICE=svc-orders)"),
        ("Settings", str(shop.layout.env_file)),
    ]
    return "\n" + table(rows)


def down(layout: Layout, arguments: argparse.Namespace) -> int:
    with only_one(layout):
        began = time.monotonic()
        ran = stack.down(layout, load(layout.env_file, services.discover(layout.root)))
        print(f"Stopped ({time.monotonic() - began:.1f} s)." if ran else "Nothing was running.")
    return 0


def clean(layout: Layout, arguments: argparse.Namespace) -> int:
    """Everything outside of the state folder; the shell that called removes the folder itself."""
    env = None
    # Whatever is wrong with the settings: what is to be removed needs none.
    with suppress(Problem):
        env = load(layout.env_file, stack.tenants(layout.root, testing=True))
    with only_one(layout):
        stack.down(layout, env)
        postgres.remove_data(layout)
    return 0


def running(layout: Layout) -> stack.Stack:
    shop = stack.find(layout, Progress())
    if shop is None or supervisor.pid(layout) is None:
        raise Problem("The shop is not running: `make up` starts it.")
    return shop


def matching(shop: stack.Stack, wanted: str | None) -> list[str]:
    """The programs that a name stands for: `svc-orders` for its three, `svc-orders-web` or `redis` for one."""
    names = list(supervisor.states(shop.rpc))
    found = [name for name in names if not wanted or name == wanted or name.rpartition("-")[0] == wanted]
    if not found:
        raise Problem(
            f"{wanted} is not a service or program of the shop; there are: {', '.join(sorted(names))}."
        )
    return found


def ps(layout: Layout, arguments: argparse.Namespace) -> int:
    shop = running(layout)
    listens = {program.name: ", ".join(map(str, program.listens)) for program in shop.programs()}
    versions = {
        service: releases.record(releases.records(layout), service).current for service in shop.services
    }
    rows = [
        (
            name,
            info["statename"].lower(),
            str(info["pid"] or ""),
            listens.get(name, ""),
            versions.get(name.rpartition("-")[0], ""),
            info["description"].partition("uptime ")[2],
        )
        for name, info in supervisor.states(shop.rpc).items()
        if name in matching(shop, arguments.service)
    ]
    print(table(rows, head=("program", "state", "pid", "ports", "version", "uptime")))
    return 0


def restart(layout: Layout, arguments: argparse.Namespace) -> int:
    """With the settings and secrets as they are now. One service goes on serving meanwhile."""
    shop = running(layout)
    names = matching(shop, arguments.service)
    with only_one(layout):
        rolling.restart(shop, names, keep_serving=bool(arguments.service))
        shop.ready.everything()
    print(f"Restarted {', '.join(names)}.")
    return 0


def upgrade(layout: Layout, arguments: argparse.Namespace) -> int:
    """Have one service run another release, while it serves."""
    service, version = wanted_release(layout, arguments)
    with only_one(layout):
        rolling.upgrade(running(layout), service, version)
    print(f"{service} runs {version}; `make rollback SERVICE={service}` goes back.")
    return 0


def rollback(layout: Layout, arguments: argparse.Namespace) -> int:
    """Have one service run what it ran before, while it serves."""
    service = wanted_service(layout, arguments)
    with only_one(layout):
        version = rolling.rollback(running(layout), service)
    print(f"{service} runs {version} again.")
    return 0


def wanted_release(layout: Layout, arguments: argparse.Namespace) -> tuple[str, str]:
    """Service and version of an upgrade; raises Problem where one is missing."""
    version = arguments.rest[0] if arguments.rest else os.environ.get("VERSION")
    if not arguments.service or not version:
        raise Problem("Name the service and the version: make upgrade SERVICE=svc-cart VERSION=1.2.0.")
    return wanted_service(layout, arguments), version


def wanted_service(layout: Layout, arguments: argparse.Namespace) -> str:
    """The one service that is meant; raises Problem for none, and for what is no service."""
    found = services.discover(layout.root)
    if arguments.service not in found:
        raise Problem(f"Name the service with SERVICE=, one of {', '.join(found)}.")
    return str(arguments.service)


def logs(layout: Layout, arguments: argparse.Namespace) -> int:
    """The last lines, and on a terminal what follows."""
    names = matching(running(layout), arguments.service) if arguments.service else ["*"]
    files = sorted(str(path) for name in names for path in layout.logs.glob(f"{name}.log"))
    if not files:
        raise Problem(f"There are no logs in {layout.logs} yet.")
    follow = ["-F"] if sys.stdout.isatty() else []
    try:
        return subprocess.run(["tail", "-n", "100", *follow, *files], check=False).returncode
    except KeyboardInterrupt:
        return 0


def shell(layout: Layout, arguments: argparse.Namespace) -> int:
    """Django's shell of a service, with the service's own settings and rights."""
    shop = running(layout)
    if arguments.service not in shop.services:
        raise Problem(f"Name the service: make shell SERVICE=svc-orders (one of {', '.join(shop.services)}).")
    home = releases.current(layout, arguments.service)
    env = {
        **services.environment(layout, shop.env, arguments.service, shop.services),
        **home.environment,
    }
    keep = {name: value for name in ("PATH", "TERM", "HOME", "LANG") if (value := os.environ.get(name))}
    return subprocess.run(
        [str(home.python), "manage.py", *(arguments.rest or ["shell"])],
        cwd=home.folder,
        env={**keep, **env},
        check=False,
    ).returncode


def seed(layout: Layout, arguments: argparse.Namespace) -> int:
    shop = running(layout)
    for service in shop.services:
        if service in services.SEEDS:
            print(shop.manage(service, services.SEEDS[service]).strip() or f"{service}: seeded")
    return 0


def demo(layout: Layout, arguments: argparse.Namespace) -> int:
    """A purchase through the gateway, step by step."""
    return _client(running(layout), "demo.py")


def bench(layout: Layout, arguments: argparse.Namespace) -> int:
    """Everything that there are targets for, and a report."""
    from shop.bench import run_all

    return run_all(layout, arguments)


def bench_part(name: str) -> Callable[[Layout, argparse.Namespace], int]:
    """The verb of one benchmark."""

    def verb(layout: Layout, arguments: argparse.Namespace) -> int:
        from shop.bench import run

        return run(layout, arguments, name)

    return verb


def _client(shop: stack.Stack, script: str, *options: str, **more: str) -> int:
    """Run a program of the folder `tests` that uses the running shop; returns its exit code."""
    keep = {name: value for name in ("PATH", "TERM", "HOME", "LANG") if (value := os.environ.get(name))}
    env = {**keep, **shop.for_clients(), **services.runtime(shop.layout), **more}
    command = [str(shop.layout.python), script, *options]
    return subprocess.run(command, cwd=shop.layout.root / "tests", env=env, check=False).returncode


def asked_for_traces() -> list[str]:
    """What make was told: the options of `traces.show`."""
    return [f"--{name}={value}" for name in ("order", "request") if (value := os.environ.get(name.upper()))]


def trace(layout: Layout, arguments: argparse.Namespace) -> int:
    """The traces of an order (ORDER=) or a request (REQUEST=) as trees."""
    shop = running(layout)
    env = {"TRACES_PORT": shop.env["TRACES_PORT"], **services.runtime(layout)}
    command = [str(layout.python), "-m", "traces.show", *asked_for_traces()]
    return subprocess.run(command, cwd=layout.root / "deploy", env=env, check=False).returncode


def prometheus(layout: Layout, arguments: argparse.Namespace) -> int:
    """Prometheus over the running shop, in the foreground, until Ctrl-C."""
    shop = running(layout)
    port = os.environ.get("PROMETHEUS_PORT") or "9090"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise Problem(f"PROMETHEUS_PORT must be a port from 1 to 65535, not {port}.")
    if other := holder(int(port)):
        raise Problem(f"Port {port} is in use by {other}: make prometheus PROMETHEUS_PORT={int(port) + 1}.")
    configured = monitoring.configure(layout, shop.env, shop.services)
    print(f"Prometheus: http://localhost:{port}  (Ctrl-C ends it)", flush=True)
    command = monitoring.command(configured, layout.data / "prometheus", int(port))
    with suppress(KeyboardInterrupt):
        return subprocess.run(command, check=False).returncode
    return 0


def test(layout: Layout, arguments: argparse.Namespace) -> int:
    from shop.testing import run_tests

    return run_tests(layout, arguments.service)


def test_faults(layout: Layout, arguments: argparse.Namespace) -> int:
    from shop.faults import run

    return run(layout, arguments)


def test_breaks(layout: Layout, arguments: argparse.Namespace) -> int:
    from shop.breaks import run

    return run(layout)


def release(layout: Layout, arguments: argparse.Namespace) -> int:
    from shop.release import run_release

    return run_release(layout)


def backup(layout: Layout, arguments: argparse.Namespace) -> int:
    from shop.backup import make

    with only_one(layout):
        return make(layout, arguments)


def restore(layout: Layout, arguments: argparse.Namespace) -> int:
    from shop.backup import restore as put_back

    with only_one(layout):
        return put_back(layout, arguments)


def rotate(layout: Layout, arguments: argparse.Namespace) -> int:
    from shop.rotation import run

    shop = running(layout)
    with only_one(layout):
        return run(shop, arguments)


def secrets_check(layout: Layout, arguments: argparse.Namespace) -> int:
    from shop.secrets_check import run

    return run(layout, arguments)


def lint(layout: Layout, arguments: argparse.Namespace) -> int:
    from shop.lint import run_lint

    return run_lint(layout)


VERBS: dict[str, Callable[[Layout, argparse.Namespace], int]] = {
    verb.__name__.replace("_", "-"): verb
    for verb in (
        up,
        down,
        clean,
        ps,
        restart,
        upgrade,
        rollback,
        logs,
        shell,
        seed,
        backup,
        restore,
        rotate,
        secrets_check,
        demo,
        bench,
        trace,
        prometheus,
        test,
        test_faults,
        test_breaks,
        release,
        lint,
    )
} | {f"bench-{name}": bench_part(name) for name in ("catalog", "checkout", "events", "gateway")}


def main(arguments: list[str]) -> int:
    """Run one verb; a Problem is printed as one sentence."""
    os.umask(0o077)
    # A closed terminal or a stop from outside ends a command as Ctrl-C does: what it started is put away first.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    if arguments[:1] == ["audit"]:
        from shop.audit import run_audit

        return run_audit(arguments[1:])
    parser = argparse.ArgumentParser(prog="deploy/shop")
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("service", nargs="?", default=os.environ.get("SERVICE") or None)
    parser.add_argument("rest", nargs="*")
    parsed, options = parser.parse_known_args(arguments)
    if options and not parsed.verb.startswith("bench"):
        parser.error(f"unrecognized arguments: {' '.join(options)}")
    parsed.rest += options
    try:
        return VERBS[parsed.verb](find_layout(), parsed)
    except Problem as problem:
        fail(str(problem))
        return 1
    except KeyboardInterrupt:
        fail("Interrupted; `make up` goes on from here, `make down` stops what was started.")
        return 130
