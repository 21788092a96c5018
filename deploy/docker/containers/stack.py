"""The stack in containers, as all verbs of `containers.cli` need it."""

import time
import urllib.error
import urllib.request
from collections.abc import Iterable

from containers import files, rolling
from containers.engine import Compose
from shop import services
from shop.envfile import complete, load
from shop.layout import Layout
from shop.problems import Problem

JOBS = ("-migrate", "-seed")


def prepare(layout: Layout, given: dict[str, str]) -> tuple[dict[str, str], Compose, str]:
    """Settings, keys and secrets, made where they are missing; and the digest of the secrets."""
    layout.make_folders()
    found = services.discover(layout.root)
    env = complete(layout.env_file, found, given)
    return env, Compose(layout, rolling.versions(layout, found)), files.write(layout, env, found)


def existing(layout: Layout) -> tuple[dict[str, str], Compose]:
    """The stack that `make up` made; raises Problem if there is none."""
    env = load(layout.env_file, services.discover(layout.root))
    if env is None or not files.folder(layout).exists():
        raise Problem("The shop is not running: `make up` starts it.")
    return env, prepare(layout, {})[1]


def running(layout: Layout) -> tuple[dict[str, str], Compose]:
    env, compose = existing(layout)
    if not any(each["State"] == "running" for each in compose.containers()):
        raise Problem("The shop is not running: `make up` starts it.")
    return env, compose


def matching(compose: Compose, wanted: str | None) -> list[str]:
    """The containers that a name stands for: `svc-orders` for its three, `svc-orders-web` or `redis` for one."""
    names = [name for name in compose.services() if not name.endswith(JOBS)]
    found = [name for name in names if not wanted or name == wanted or name.rpartition("-")[0] == wanted]
    if not found:
        raise Problem(
            f"{wanted} is not a service or container of the shop; there are: {', '.join(sorted(names))}."
        )
    return found


def from_checkout(compose: Compose, found: Iterable[str]) -> list[str]:
    """Of these services, the containers whose image is built from the checkout: a release has its own, which never changes."""
    return [f"{service}-web" for service in sorted(found) if not compose.released(service)]


def wait_ready(env: dict[str, str]) -> None:
    """Return once everything behind the gateway is ready; raises Problem after a minute."""
    deadline = time.monotonic() + 60
    url = f"{services.base_url(env)}/readyz"
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own http address
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                raise Problem(
                    f"The containers run, but {url} does not answer 200 ({error}): `make logs` tells why."
                ) from None
        time.sleep(0.2)


def sick(compose: Compose) -> str:
    """The last words of each container that is not well."""
    text = ""
    for each in compose.containers():
        bad = each.get("Health") == "unhealthy" or (each["State"] == "exited" and each.get("ExitCode"))
        if bad or each["State"] == "restarting":
            said = compose.do("logs", "--no-color", "--tail", "12", each["Service"], doing="Reading a log")
            text += f"\n----- {each['Service']} is {each.get('Health') or each['State']}\n{said.rstrip()}"
    return text
