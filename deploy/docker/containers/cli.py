"""The verbs of `deploy/shop`, on containers. Each means what it means for host processes."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from containers import files, manifests, rolling
from containers.engine import Compose
from containers.stack import existing, from_checkout, matching, prepare, running, sick, wait_ready
from shop import releases, services
from shop.audit import UNREADABLE
from shop.cli import SETTABLE, asked_for_traces, only_one, wanted_release, wanted_service
from shop.envfile import load
from shop.layout import Layout, find_layout
from shop.ports import holder
from shop.problems import Problem
from shop.release import call, told
from shop.report import Progress, fail, table

#: Seconds until everything must be healthy.
PATIENCE = 600
#: Of several containers with one image, the one that is built.
BUILT = ("gateway", "mail", "traces")
#: The one-shot container of `make audit`, of a profile of its own.
AUDIT = "audit"


def up(layout: Layout, arguments: argparse.Namespace) -> int:
    given = {name: value for name in SETTABLE if (value := os.environ.get(name))}
    with only_one(layout):
        return _bring_up(layout, Progress(), given)


def _bring_up(
    layout: Layout,
    progress: Progress,
    given: dict[str, str],
    fill: Callable[[dict[str, str], Compose], None] | None = None,
) -> int:
    """Everything; `fill` is called when the images are built and nothing runs yet."""
    env, compose, digest = prepare(layout, given)
    applied = files.folder(layout) / "applied"
    # Compose does not look into the files that it mounts.
    anew = ["--force-recreate"] if applied.exists() and applied.read_text() != digest else []
    found = services.discover(layout.root)
    before = compose.containers()
    running = {each["Service"] for each in before if each["State"] == "running"}
    _check_port(env, running)
    log = layout.logs / "docker-build.log"
    progress.say("building the images (the first time takes minutes)")
    compose.do("build", *from_checkout(compose, found), *BUILT, doing="Building the images", log=log)
    if fill:
        fill(env, compose)
    progress.say("starting the containers, waiting until all are healthy")
    try:
        compose.do(
            *("up", "--detach", "--no-build", "--remove-orphans", "--wait"),
            *("--wait-timeout", str(PATIENCE), *anew),
            doing="Starting the containers",
            log=layout.logs / "docker-up.log",
        )
    except Problem as problem:
        raise Problem(f"{problem}{sick(compose)}") from None
    applied.write_text(digest)
    wait_ready(env)
    print(summary(layout, env, compose))
    now = {each["ID"] for each in compose.containers() if each["State"] == "running"}
    if now - {each["ID"] for each in before if each["State"] == "running"}:
        print(f"\nReady after {progress.seconds:.1f} s.")
    else:
        print(f"\nEverything was up already ({progress.seconds:.1f} s).")
    return 0


def _check_port(env: dict[str, str], up_already: set[str]) -> None:
    port = int(env["GATEWAY_PORT"])
    other = None if "gateway" in up_already else holder(port)
    if other:
        raise Problem(f"Port {port} is in use by {other}: stop it, or run `make up GATEWAY_PORT={port + 1}`.")


def summary(layout: Layout, env: dict[str, str], compose: Compose) -> str:
    """The table of addresses and logins."""
    base = services.base_url(env)
    rows = [
        ("Shop", f"{base}/api/v1/catalog/products"),
        ("API reference", f"{base}/docs"),
        ("Mail catcher", f"{base}/dev/mail/"),
        ("Health", f"{base}/readyz"),
        *(
            (name, f"{login}@example.com  password {env['DEMO_PASSWORD']}")
            for name, login in (("Buyer", "buyer"), ("Seller", "seller"), ("Admin", "admin"))
        ),
        ("Containers", f"docker compose --project-name {compose.project}"),
        ("Logs", "make logs SERVICE=svc-orders"),
        ("Settings", str(layout.env_file)),
    ]
    return "\n" + table(rows)


def down(layout: Layout, arguments: argparse.Namespace) -> int:
    with only_one(layout):
        began = time.monotonic()
        try:
            _, compose = existing(layout)
        except Problem:
            print("Nothing was running.")
            return 0
        ran = bool(compose.containers())
        compose.do("down", "--remove-orphans", doing="Stopping the containers")
        print(f"Stopped ({time.monotonic() - began:.1f} s)." if ran else "Nothing was running.")
    return 0


def clean(layout: Layout, arguments: argparse.Namespace) -> int:
    """Containers, networks and data; the shell that called removes the folders."""
    with only_one(layout):
        if load(layout.env_file, services.discover(layout.root)) is not None:
            _, compose, _ = prepare(layout, {})
            compose.do(
                "down", "--volumes", "--remove-orphans", "--rmi", "local", doing="Removing the containers"
            )
    return 0


def ps(layout: Layout, arguments: argparse.Namespace) -> int:
    _, compose = running(layout)
    wanted = set(matching(compose, arguments.service))
    rows = [
        (
            each["Service"],
            each["State"],
            each.get("Health", ""),
            str(each.get("Image", "")).rpartition(":")[2] if each["Service"].startswith("svc-") else "",
            (each.get("Publishers") and _ports(each["Publishers"])) or "",
            each["Status"],
        )
        for each in sorted(compose.containers(), key=lambda each: str(each["Service"]))
        if each["Service"] in wanted
    ]
    print(table(rows, head=("container", "state", "health", "version", "port", "uptime")))
    return 0


def _ports(publishers: list[dict[str, object]]) -> str:
    return ", ".join(str(each["PublishedPort"]) for each in publishers if each.get("PublishedPort"))


def restart(layout: Layout, arguments: argparse.Namespace) -> int:
    """With what was edited since: the image is built again. One service goes on serving meanwhile."""
    env, compose = running(layout)
    names = matching(compose, arguments.service)
    owners = {name.rpartition("-")[0] for name in names if name.startswith("svc-")}
    images = [*from_checkout(compose, owners), *(name for name in names if name in BUILT)]
    with only_one(layout):
        if images:
            compose.do("build", *images, doing="Building the images", log=layout.logs / "docker-build.log")
        if len(owners) == 1:
            rolling.restart(compose, min(owners), tuple(name.rpartition("-")[2] for name in names))
        else:
            compose.do(
                *("up", "--detach", "--no-build", "--no-deps", "--force-recreate", "--wait"),
                *("--wait-timeout", str(PATIENCE), *names),
                doing="Restarting",
            )
        wait_ready(env)
    print(f"Restarted {', '.join(names)}.")
    return 0


def upgrade(layout: Layout, arguments: argparse.Namespace) -> int:
    """Have one service run the image of another release, while it serves."""
    service, version = wanted_release(layout, arguments)
    with only_one(layout):
        env, compose = running(layout)
        if version == releases.DEV:
            own = compose.having(service, version)
            own.do(
                *("build", *from_checkout(own, [service])),
                doing="Building the image",
                log=layout.logs / "docker-build.log",
            )
        rolling.upgrade(compose, service, version)
        wait_ready(env)
    print(f"{service} runs {version}; `make rollback SERVICE={service}` goes back.")
    return 0


def rollback(layout: Layout, arguments: argparse.Namespace) -> int:
    """Have one service run what it ran before, while it serves."""
    service = wanted_service(layout, arguments)
    with only_one(layout):
        env, compose = running(layout)
        version = rolling.rollback(compose, service)
        wait_ready(env)
    print(f"{service} runs {version} again.")
    return 0


def logs(layout: Layout, arguments: argparse.Namespace) -> int:
    """The last lines, and on a terminal what follows."""
    _, compose = running(layout)
    names = matching(compose, arguments.service)
    follow = ["--follow"] if sys.stdout.isatty() else []
    try:
        return compose.run("logs", "--tail", "100", *follow, *names)
    except KeyboardInterrupt:
        return 0


def shell(layout: Layout, arguments: argparse.Namespace) -> int:
    """Django's shell of a service, in its container."""
    _, compose = running(layout)
    found = services.discover(layout.root)
    if arguments.service not in found:
        raise Problem(f"Name the service: make shell SERVICE=svc-orders (one of {', '.join(found)}).")
    terminal = [] if sys.stdin.isatty() else ["--no-TTY"]
    return compose.run(
        *("exec", *terminal, f"{arguments.service}-web", "python", "manage.py"),
        *(arguments.rest or ["shell"]),
    )


def seed(layout: Layout, arguments: argparse.Namespace) -> int:
    _, compose = running(layout)
    for service in services.discover(layout.root):
        for command in services.SEEDS.get(service, []):
            said = compose.do(
                *("exec", "--no-TTY", f"{service}-web", "python", "manage.py", *command.split()),
                doing=f"{service}: {command.split()[0]}",
            )
            print(said.strip() or f"{service}: seeded")
    return 0


def demo(layout: Layout, arguments: argparse.Namespace) -> int:
    """A purchase through the gateway, step by step."""
    env, _ = running(layout)
    keep = {name: value for name in ("PATH", "TERM", "HOME", "LANG") if (value := os.environ.get(name))}
    clients = {
        "SHOP_BASE_URL": services.base_url(env),
        "DEMO_PASSWORD": env["DEMO_PASSWORD"],
        **services.runtime(layout),
    }
    return subprocess.run(
        [str(layout.python), "demo.py"], cwd=layout.root / "tests", env={**keep, **clients}, check=False
    ).returncode


def trace(layout: Layout, arguments: argparse.Namespace) -> int:
    """The traces of an order (ORDER=) or a request (REQUEST=) as trees."""
    _, compose = running(layout)
    return compose.run("exec", "--no-TTY", "traces", "python", "-m", "traces.show", *asked_for_traces())


def audit(arguments: list[str]) -> int:
    """Audit the databases of the running containers; returns the audit's exit code. A report is written on this machine."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--json", nargs="?", const="-")
    options, rest = parser.parse_known_args(arguments)
    try:
        layout = find_layout()
        _, compose = running(layout)
        for service in services.discover(layout.root):
            # Data that was made before there was an auditor.
            compose.do(
                *("exec", "--no-TTY", f"postgres-{service.removeprefix('svc-')}"),
                *("bash", "/docker-entrypoint-initdb.d/shop.sh", "auditor"),
                doing="Making the role of the audit",
            )
        command = ["--profile", AUDIT, "run", "--rm", "--no-TTY", "--no-deps", AUDIT, *rest]
        if options.json in (None, "-"):
            return compose.run(*command, *(["--json"] if options.json else []))
        code, report = compose.read(*command, "--json")
        if code in (0, 1):
            Path(options.json).write_text(report)
    except Problem as problem:
        fail(str(problem))
        return UNREADABLE
    except OSError as error:
        fail(f"{options.json} cannot be written: {error.strerror}.")
        return UNREADABLE
    return code


def end_to_end(layout: Layout, arguments: argparse.Namespace) -> int:
    """The tests that cross services, against the running containers; `rest` goes to pytest.

    By default all but the random lives, which take long: `deploy/shop end-to-end "" lives`.
    """
    from containers.doors import opened

    env, compose = running(layout)
    with opened(layout, env, compose) as env_file:
        # The tests audit the shop by the runner's own command, which has to find the same engine.
        known = ("PATH", "TERM", "HOME", "LANG", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT")
        keep = {name: value for name in known if (value := os.environ.get(name))}
        clients = {
            "SHOP_BASE_URL": services.base_url(env),
            # The doors are for the tests alone: the runner's commands that these call need the shop's own file.
            "SHOP_DOORS_FILE": str(env_file),
            "SHOP_ENV_FILE": str(layout.env_file),
            "SHOP_STATE_DIR": str(layout.state),
            "DEMO_PASSWORD": env["DEMO_PASSWORD"],
            **services.runtime(layout),
        }
        wanted = arguments.rest or ["end_to_end", "api"]
        command = [str(layout.python), "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *wanted]
        return subprocess.run(
            command, cwd=layout.root / "tests", env={**keep, **clients}, check=False
        ).returncode


def rotate(layout: Layout, arguments: argparse.Namespace) -> int:
    """Replace secrets and key pairs while everything serves."""
    from containers.doors import ports
    from containers.rotation import Containers
    from shop.rotation import ends_now, wanted

    env, compose = running(layout)
    names = wanted(services.discover(layout.root))
    with only_one(layout), ports(layout, compose) as found:
        for sentence in Containers(layout, env, compose, found, names, now=ends_now()).run():
            print(sentence)
    return 0


def backup(layout: Layout, arguments: argparse.Namespace) -> int:
    """Everything the running shop holds, of one moment."""
    from containers.backup import Containers
    from shop.backup import write

    with only_one(layout):
        env, compose = running(layout)
        return write(Containers(layout, env, services.discover(layout.root), compose), Progress())


def restore(layout: Layout, arguments: argparse.Namespace) -> int:
    """Make the stack hold what a backup holds, and start it."""
    from containers.backup import Containers, empty, has_data, newest_postgres, put
    from shop import backup

    with only_one(layout):
        progress = Progress()
        source, manifest = backup.chosen(layout, progress)
        _, compose, _ = prepare(layout, {})
        data = has_data(compose)
        backup.check_may_replace(manifest, newest_postgres(compose), data=data)
        if data:
            progress.say("stopping, and throwing away what is there")
        empty(layout, compose)
        layout.make_folders()
        backup.keys(layout, source)

        def fill(env: dict[str, str], compose: Compose) -> None:
            shop = Containers(layout, env, manifest.services, compose)
            put(shop, compose, source)
            backup.fill(shop, source, progress.say)

        return _bring_up(layout, progress, backup.given(source, manifest), fill)


def release(layout: Layout, arguments: argparse.Namespace) -> int:
    """Release what the environment names, compared with the containers that run here."""
    if told():
        return call(layout, "")
    _, compose = running(layout)
    with tempfile.TemporaryDirectory(prefix="shop-manifests-") as folder:
        manifests.collect(compose, services.discover(layout.root), Path(folder))
        return call(layout, folder)


VERBS: dict[str, Callable[[Layout, argparse.Namespace], int]] = {
    verb.__name__.replace("_", "-"): verb
    for verb in (
        *(up, down, clean, ps, restart, upgrade, rollback, logs, shell, seed, demo, trace, end_to_end),
        *(rotate, backup, restore, release),
    )
}


def main(arguments: list[str]) -> int:
    """Run one verb; a Problem is printed as one sentence."""
    os.umask(0o077)
    if arguments[:1] == ["audit"]:
        return audit(arguments[1:])
    parser = argparse.ArgumentParser(prog="deploy/shop")
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("service", nargs="?", default=os.environ.get("SERVICE") or None)
    parser.add_argument("rest", nargs="*")
    parsed, options = parser.parse_known_args(arguments)
    if options and parsed.verb != "end-to-end":
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
