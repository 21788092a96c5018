"""One service gets new containers while it serves: with other settings, another image, or another release.

The new web starts beside the old one, in the same network and so at the same address, and listens there once it can serve. The
old one drains as `shared_lib.server.web` does it: what waits at its socket goes to the new one, it answers on the connections that
it has, and ends when no client can be about to use one of them.
"""

import time
from pathlib import Path

from containers import files
from containers.engine import Compose, docker
from shop import releases
from shop.envfile import prefix
from shop.handover import END_SECONDS
from shop.layout import Layout
from shop.problems import Problem
from shop.program import Listen
from shop.rolling import last_words, ready_seconds
from shop.stack import LOCK_TIMEOUT_MS

PROCESSES = ("web", "events", "worker")
#: Seconds until events and worker must be healthy.
PATIENCE = 120
#: Seconds between two looks at a new container.
_LOOK = 0.3
_WELL = ("python", "-I", "-S", "/usr/local/lib/shop/healthcheck.py")


def records(layout: Layout) -> Path:
    """Which releases run in containers; their databases are others than those of host processes."""
    return files.folder(layout) / "releases.json"


def versions(layout: Layout, services: list[str]) -> dict[str, str]:
    """What docker-compose.yml has to know: the tag of each service that runs a release."""
    path = records(layout)
    found = {service: releases.record(path, service).current for service in services}
    return {f"{prefix(s)}_VERSION": version for s, version in found.items() if version != releases.DEV}


def restart(compose: Compose, service: str, processes: tuple[str, ...] = PROCESSES) -> None:
    """New containers from settings, secrets and image as they are now.

    Raises Problem when one does not get ready. If that is the web, the one before goes on serving, and nothing else was restarted.
    """
    if "web" in processes:
        _replace_web(compose, service)
    _recreate(compose, service, processes)


def upgrade(compose: Compose, service: str, version: str) -> None:
    """Have the service run the image of that release: its migrations first, then new containers beside the old.

    Raises Problem when there is no such image, a migration fails, or a container does not get ready. Then what ran goes on, or
    runs again.
    """
    layout = compose.layout
    before = releases.record(records(layout), service)
    if before.current == version:
        raise Problem(f"{service} {version} runs already.")
    _check_image(compose, service, version)
    _check_running(compose, service)
    new = compose.having(service, version)
    try:
        new.do(
            *("run", "--rm", "--no-TTY", "--no-deps", "--env", f"DATABASE_LOCK_TIMEOUT_MS={LOCK_TIMEOUT_MS}"),
            f"{service}-migrate",
            doing=f"{service} {version}: migrate",
            log=layout.logs / "docker-migrate.log",
        )
    except Problem as problem:
        raise Problem(f"{problem}\n{service} {before.current} goes on serving.") from None
    _move(compose, new, service, releases.Record(version, before.current))


def rollback(compose: Compose, service: str) -> str:
    """Have the service run what it ran before, on the database as it is; returns that version. Raises Problem as `upgrade`."""
    before = releases.record(records(compose.layout), service)
    if before.previous is None:
        raise Problem(
            f"{service} {before.current} is the first that ran here: there is nothing to go back to."
        )
    _check_image(compose, service, before.previous)
    new = compose.having(service, before.previous)
    _move(compose, new, service, releases.Record(before.previous, before.current))
    return before.previous


def _move(old: Compose, new: Compose, service: str, now: releases.Record) -> None:
    """New containers of another release; back again if events or worker do not get ready."""
    path = records(new.layout)
    before = releases.record(path, service)
    _replace_web(new, service)
    releases.remember(path, service, now)
    try:
        _recreate(new, service, PROCESSES)
    except Problem as problem:
        releases.remember(path, service, before)
        restart(old, service)
        raise Problem(f"{problem}\n{service} {before.current} serves again.") from None


def _check_image(compose: Compose, service: str, version: str) -> None:
    if version == releases.DEV:
        return
    tag = compose.image(service, version)
    if not releases.VERSION.fullmatch(version) or docker("image", "inspect", tag).returncode:
        raise Problem(
            f"The engine has no image {tag}: `make release SERVICE={service} VERSION={version}` makes it where this engine"
            f" answers; one that was made elsewhere has to be pulled."
        )


def _check_running(compose: Compose, service: str) -> set[str]:
    """The containers of its web."""
    found = compose.running(f"{service}-web")
    if not found:
        raise Problem(
            f"{service}-web does not run: `make up` first, so that there is something to go on from."
        )
    return found


def _replace_web(compose: Compose, service: str) -> None:
    web = f"{service}-web"
    old = _check_running(compose, service)
    patience = ready_seconds()
    compose.do(
        *("up", "--detach", "--no-build", "--no-deps", "--no-recreate"),
        *("--scale", f"{web}={len(old) + 1}", web),
        doing=f"Starting another {web}",
    )
    (new,) = compose.running(web) - old or {""}
    why = _wait_ready(new, patience) if new else "ended at once"
    if why:
        said = docker("logs", new)
        docker("rm", "--force", "--volumes", new)
        words = last_words(said.stdout + said.stderr)
        raise Problem(
            f"The new container of {web} {why}; the one before goes on serving. Its last words:\n{words}"
        )
    for each in old:
        docker("kill", "--signal", "USR1", each)
    time.sleep(Listen(0).drain_seconds)
    for each in old:
        docker("stop", "--time", str(int(END_SECONDS)), each)
        docker("rm", "--force", "--volumes", each)


def _recreate(compose: Compose, service: str, processes: tuple[str, ...]) -> None:
    names = [f"{service}-{process}" for process in processes if process != "web"]
    if names:
        compose.do(
            *("up", "--detach", "--no-build", "--no-deps", "--force-recreate", "--wait"),
            *("--wait-timeout", str(PATIENCE), *names),
            doing=f"Restarting {' and '.join(names)}",
        )


def _wait_ready(container: str, seconds: float) -> str:
    """Why the container cannot serve, or nothing. It listens once it answers /readyz for itself."""
    deadline = time.monotonic() + seconds
    while True:
        state = docker(
            "inspect", "--format", "{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}}", container
        )
        status, restarts, code = state.stdout.split() or ("gone", "0", "0")
        if status != "running" or restarts != "0":
            return f"ended with exit code {code} before it was ready"
        if not docker("exec", container, *_WELL).returncode:
            return ""
        if time.monotonic() > deadline:
            return f"was not ready within {seconds:g} s"
        time.sleep(_LOOK)
