"""What the fault tests need of a stack: a proxy in front of everything the services talk to, failpoints, short clocks.

`make test-faults` starts a throwaway stack with it and runs the scenarios of tests/faults; `make test` runs its suite
`faults` on the stack that it has anyway.
"""

import argparse
import fcntl
import json
import os
import random
import shutil
import subprocess
from pathlib import Path

from shop import postgres, rabbitmq, redis, services, stack
from shop.envfile import complete, prefix
from shop.layout import Layout
from shop.ports import choose_block
from shop.problems import Problem
from shop.report import Progress

#: What a service is told in place of minutes, so that a run sees the end of everything it began.
CLOCKS = {
    "SVC_ACCOUNTS__ACCESS_TOKEN_SECONDS": "3600",
    "SVC_ORDERS__ORDER_PAYMENT_WINDOW_SECONDS": "30",
    "SVC_ORDERS__ORDER_PAYMENT_RETRY_SECONDS": "15",
    "SVC_ORDERS__CHECKOUT_RESUME_SECONDS": "10",
}
#: Of the services with most failpoints, so that one process serves while another starts again.
CROWDS = {"SVC_ORDERS__WEB_WORKERS": "3", "SVC_PAYMENTS__WEB_WORKERS": "2"}
#: In this order: the first two measure, so no proxy stands in their way.
MEASURING = ("backlog", "rush")
SCENARIOS = (*MEASURING, "storm")


class Proxy:
    """The proxy's process. It ends with this one."""

    def __init__(self, layout: Layout, targets: dict[str, int]) -> None:
        self._process = subprocess.Popen(
            [str(layout.python), "-m", "faults.proxy", "--die-with-parent"],
            cwd=layout.root / "tests",
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **services.runtime(layout)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError
        print(json.dumps({"links": targets}), file=self._process.stdin, flush=True)
        said = self._process.stdout.readline()
        if not said:
            raise Problem("The proxy of the fault tests did not start: see above.")
        found = json.loads(said)
        self.control: int = found["control"]
        self.ports: dict[str, int] = found["links"]

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


def failpoints(layout: Layout) -> Path:
    """The folder whose files arm failpoints."""
    return layout.run / "failpoints"


def prepare(shop: stack.Stack, extra: dict[str, str] | None = None) -> Proxy:
    """Put a proxy between the services and all they talk to, and write the settings for that; `configure()` applies them."""
    env = shop.env
    targets = {
        "postgres": int(env["POSTGRES_PORT"]),
        "redis": int(env["REDIS_PORT"]),
        "amqp": int(env["RABBITMQ_PORT"]),
        "sandbox": int(env["SANDBOX_PORT"]),
        **{service: int(env[f"{prefix(service)}_PORT"]) for service in shop.services},
    }
    proxy = Proxy(shop.layout, targets)
    folder = failpoints(shop.layout)
    folder.mkdir(mode=0o700, exist_ok=True)
    detours = {
        **env,
        "POSTGRES_PORT": str(proxy.ports["postgres"]),
        "REDIS_PORT": str(proxy.ports["redis"]),
        "RABBITMQ_PORT": str(proxy.ports["amqp"]),
    }
    given = {**CLOCKS, **(extra or {})}
    for service in shop.services:
        its = {
            "DATABASE_URL": postgres.url(service, detours),
            "REDIS_URL": redis.url(service, detours),
            "EVENTS_BROKER_URL": rabbitmq.url(service, detours, rabbitmq.EVENTS),
            "JOBS_BROKER_URL": rabbitmq.url(service, detours, rabbitmq.jobs_host(service)),
            "FAILPOINTS_DIR": str(folder),
            **{f"{prefix(other)}_URL": f"http://127.0.0.1:{proxy.ports[other]}" for other in shop.services},
        }
        if service == "svc-payments":
            its["SANDBOX_URL"] = f"http://127.0.0.1:{proxy.ports['sandbox']}"
        given |= {f"{prefix(service)}__{name}": value for name, value in its.items()}
    shop.env.update(complete(shop.layout.env_file, shop.tenants, given))
    return proxy


def for_tests(shop: stack.Stack, proxy: Proxy | None) -> dict[str, str]:
    """What tests/faults reads from its environment."""
    return {
        **shop.for_clients(),
        **({"SHOP_PROXY_CONTROL": str(proxy.control)} if proxy else {}),
        "SHOP_FAILPOINTS": str(failpoints(shop.layout)),
        "SHOP_FAULT_REPORTS": str(shop.layout.root / ".local" / "reports"),
    }


def run(layout: Layout, arguments: argparse.Namespace) -> int:
    """`make test-faults`: the scenarios on a throwaway stack, which is started before and is gone after."""
    names = (os.environ.get("SCENARIO") or ",".join(SCENARIOS)).split(",")
    if set(names) - set(SCENARIOS):
        raise Problem(f"SCENARIO={','.join(names)}: there are {', '.join(SCENARIOS)}.")
    for name in ("SEED", "CHECKOUTS"):
        if not (os.environ.get(name) or "1").isdigit():
            raise Problem(f"{name}={os.environ[name]} is not a number.")
    # Small enough to be typed again.
    seed = os.environ.get("SEED") or str(random.SystemRandom().randrange(1, 1_000_000))
    state = layout.state / "faults"
    layout.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (layout.state / "faults.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problem("`make test-faults` runs already in this folder: wait for it.") from None
        return _Run(Layout(layout.root, state, state / "env"), seed).go(names)


class _Run:
    def __init__(self, layout: Layout, seed: str) -> None:
        self.layout = layout
        self.seed = seed
        self.progress = Progress()
        self.shop: stack.Stack | None = None

    def go(self, names: list[str]) -> int:
        # An interrupted run may have left a stack.
        stack.down(self.layout, None)
        postgres.remove_data(self.layout)
        shutil.rmtree(self.layout.state, ignore_errors=True)
        try:
            given = {"GATEWAY_PORT": str(choose_block(1)[0]), "TRACE_RATIO": "0"}
            shop = self.shop = stack.create(self.layout, self.progress, given, testing=True)
            self.progress.say(f"starting a throwaway stack, SEED={self.seed}")
            code = 0
            if measuring := [name for name in names if name in MEASURING]:
                shop.up()
                code = self._scenarios(shop, measuring, None)
            if storms := [name for name in names if name not in MEASURING]:
                self.progress.say("putting a proxy between the services and all they talk to")
                proxy = prepare(shop, CROWDS)
                shop.up()
                code = self._scenarios(shop, storms, proxy) or code
            return code
        finally:
            self.progress.say("stopping the throwaway stack")
            stack.down(self.layout, self.shop.env if self.shop else None)
            self.progress.say("done")

    def _scenarios(self, shop: stack.Stack, names: list[str], proxy: Proxy | None) -> int:
        self.progress.say(f"everything is up; {', '.join(names)}")
        keep = {name: value for name in ("PATH", "HOME", "CHECKOUTS") if (value := os.environ.get(name))}
        env = {**keep, "SEED": self.seed, "LANG": "C.UTF-8", "TZ": "UTC", **services.runtime(shop.layout)}
        env |= {**for_tests(shop, proxy), "PYTHONPATH": str(shop.layout.root / "deploy" / "native")}
        return subprocess.run(
            [str(shop.layout.python), "-m", "faults", *names],
            cwd=shop.layout.root / "tests",
            env=env,
            check=False,
        ).returncode
