"""`make test`: every suite on a throwaway stack, which is started before and is gone after."""

import fcntl
import os
import shutil
import subprocess
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from shop import faults, postgres, rabbitmq, services, stack
from shop.envfile import load, prefix
from shop.layout import Layout
from shop.ports import choose_block
from shop.problems import Problem
from shop.report import Progress, table

#: Seconds that one test may take before it is a failure with a traceback.
TEST_TIMEOUT = 300
AT_ONCE = 2

#: What tests may know of the environment that started them.
KEPT = (
    *("PATH", "HOME", "TERM", "CI", "SEED"),
    *(
        "SHOP_API_CASES",
        "SHOP_API_SEED",
        "SHOP_DEMO_AFTER_EACH",
        "SHOP_LIVES",
        "SHOP_LIVES_SEED",
        "SHOP_SEQUENCES",
    ),
)
#: A suite whose ground is missing fails everywhere; the first so many failures say enough.
MOST_FAILURES = 30


@dataclass(frozen=True)
class Suite:
    """Tests that run in one pytest: `name` is what SERVICE= calls it, `arguments` go to pytest.

    `needs` is "nothing", "stores" (PostgreSQL, Redis, RabbitMQ) or "stack" (everything, running).
    """

    name: str
    folder: Path
    needs: str
    arguments: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What pytest counted; `skips` are reasons with how often each was given."""

    suite: Suite
    seconds: float
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    skips: dict[str, int] = field(default_factory=dict)
    trouble: str = ""

    @property
    def ran(self) -> int:
        return self.passed + self.failed

    @property
    def good(self) -> bool:
        return not self.failed and not self.trouble


def suites(root: Path) -> list[Suite]:
    """Every suite of the tree."""
    found = [Suite(name, root / name, "stores") for name in stack.tenants(root, testing=True)]
    found += [
        Suite("gateway", root / "gateway", "stores"),
        Suite("audit", root / "deploy" / "audit", "stores"),
        Suite("k8s", root / "k8s", "nothing"),
        Suite("release", root / "deploy" / "release", "nothing"),
        Suite("breaks", root / "tests", "nothing", ("breaks", "load")),
        Suite("deploy", root / "deploy", "nothing", ("-m", "not stack")),
    ]
    found += [
        Suite("tests", root / "tests", "stack"),
        Suite("deploy-stack", root / "deploy", "stack", ("-m", "stack")),
        Suite("faults", root / "tests", "stack", ("-s", "faults")),
    ]
    return [
        suite
        for suite in found
        if any((suite.folder / "tests").glob("**/test_*.py"))
        or (suite.folder.name == "tests" and any(suite.folder.glob("**/test_*.py")))
    ]


def run_tests(layout: Layout, wanted: str | None) -> int:
    """Run all suites, or one; prints a table and returns the exit code."""
    every = suites(layout.root)
    chosen = [suite for suite in every if not wanted or suite.name == wanted]
    if not chosen:
        raise Problem(f"{wanted} has no tests; there are: {', '.join(suite.name for suite in every)}.")
    state = layout.state / "test"
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (layout.state / "test.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problem(
                "`make test` runs already in this folder: wait for it, or use another clone."
            ) from None
        return Run(Layout(layout.root, state, state / "env"), chosen).go()


class Run:
    def __init__(self, layout: Layout, chosen: list[Suite]) -> None:
        self.layout = layout
        self.chosen = chosen
        self.progress = Progress()
        self.outcomes: list[Outcome] = []
        self.shop: stack.Stack | None = None
        self.proxy: faults.Proxy | None = None
        self.trouble = ""

    def go(self) -> int:
        self.remove()
        try:
            self._all()
        except Problem as problem:
            self.trouble = str(problem)
        finally:
            self.progress.say("stopping the throwaway stack")
            stack.down(self.layout, self.shop.env if self.shop else None)
            if self.proxy:
                self.proxy.end()
        return self._report()

    def remove(self) -> None:
        """Start from nothing: an interrupted run may have left a stack."""
        stack.down(self.layout, None)
        postgres.remove_data(self.layout)
        shutil.rmtree(self.layout.state, ignore_errors=True)

    def _all(self) -> None:
        self.reports.mkdir(mode=0o700, parents=True)
        if any(suite.needs != "nothing" for suite in self.chosen):
            self.start_stores(stores_only=all(suite.needs != "stack" for suite in self.chosen))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            self.outcomes += pool.map(
                self._pytest, [suite for suite in self.chosen if suite.needs != "stack"]
            )
        last = [suite for suite in self.chosen if suite.needs == "stack"]
        if last and self.shop:
            self.progress.say("starting the services")
            if any(suite.name == "faults" for suite in last):
                # One stack for all: the other suites do not notice the proxy that the services then talk through.
                self.proxy = faults.prepare(self.shop)
                self.shop.configure()
            self.shop.serve()
            for suite in last:
                self.outcomes.append(self._pytest(suite))
                # Its tests may have given the stack other secrets.
                self.shop.env |= load(self.layout.env_file, self.shop.tenants) or {}

    def start_stores(self, *, stores_only: bool) -> None:
        """PostgreSQL, Redis, RabbitMQ, with a database for each suite. `stores_only`: nothing else will run."""
        self.shop = stack.create(
            self.layout,
            self.progress,
            {
                "GATEWAY_PORT": str(choose_block(1)[0]),
                "TRACE_RATIO": "0",
                # So long a test has to wait until a withdrawn key is refused.
                "GATEWAY_JWKS_REFRESH_SECONDS": "5",
            },
            testing=True,
            stores_only=stores_only,
        )
        self.progress.say("starting a throwaway stack")
        self.shop.configure()
        self.shop.infrastructure()
        self.shop.databases()
        self.shop.ready.port("amqp", "RABBITMQ_PORT", "rabbitmq")

    @property
    def reports(self) -> Path:
        return self.layout.state / "reports"

    def environment(self, suite: Suite) -> dict[str, str]:
        keep = {name: value for name in KEPT if (value := os.environ.get(name))}
        env = {**keep, "LANG": "C.UTF-8", "TZ": "UTC", **services.runtime(self.layout)}
        if self.shop is None:
            return env
        known = stack.tenants(self.layout.root, testing=True)
        if suite.name in known:
            url = f"redis://{suite.name}:{self.shop.env[f'{prefix(suite.name)}_REDIS_PASSWORD']}@127.0.0.1:{self.shop.env['REDIS_PORT']}/1"
            env |= {
                **services.environment(self.layout, self.shop.env, suite.name, self.shop.services),
                "ENVIRONMENT": "test",
                "LOG_LEVEL": "WARNING",
                "OTEL_EXPORTER_OTLP_ENDPOINT": "",
                # Away from what the running stack uses, since some of these suites leave keys and messages behind.
                "REDIS_URL": url,
                "EVENTS_BROKER_URL": rabbitmq.url(
                    suite.name, self.shop.env, rabbitmq.test_host("events", suite.name)
                ),
                "JOBS_BROKER_URL": rabbitmq.url(
                    suite.name, self.shop.env, rabbitmq.test_host("jobs", suite.name)
                ),
            }
        else:
            env |= self.shop.for_clients()
        if suite.name == "faults" and self.proxy:
            env |= faults.for_tests(self.shop, self.proxy)
        return env

    def _pytest(self, suite: Suite) -> Outcome:
        result = self.reports / f"{suite.name}.xml"
        log = self.reports / f"{suite.name}.log"
        began = time.monotonic()
        with log.open("w") as output:
            code = subprocess.run(
                [
                    str(self.layout.python),
                    "-m",
                    "pytest",
                    "-q",
                    "-rs",
                    "-p",
                    "no:cacheprovider",
                    f"--junitxml={result}",
                    f"--timeout={TEST_TIMEOUT}",
                    f"--maxfail={MOST_FAILURES}",
                    *suite.arguments,
                ],
                cwd=suite.folder,
                env=self.environment(suite),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
            ).returncode
        outcome = Outcome(suite, time.monotonic() - began)
        _count(outcome, result)
        if code == 5 or (code == 0 and not outcome.ran):
            outcome.trouble = "ran no test"
        elif code and not outcome.failed:
            outcome.trouble = f"pytest ended with exit code {code}"
        verdict = "passed" if outcome.good else "FAILED"
        self.progress.say(f"{suite.name}: {verdict}, {outcome.ran} tests in {outcome.seconds:.0f} s")
        if not outcome.good:
            print(f"----- {suite.name}\n{log.read_text(errors='replace')}\n-----", flush=True)
        return outcome

    def _report(self) -> int:
        rows = [
            (
                o.suite.name,
                str(o.ran),
                str(o.passed),
                str(o.failed),
                str(o.skipped),
                f"{o.seconds:.0f} s",
                o.trouble,
            )
            for o in self.outcomes
        ]
        print("\n" + table(rows, head=("suite", "ran", "passed", "failed", "skipped", "time", "")))
        for outcome in self.outcomes:
            for reason, times in sorted(outcome.skips.items()):
                print(f"skipped in {outcome.suite.name}, {times} times: {reason}")
        left = [
            suite.name for suite in self.chosen if suite not in [outcome.suite for outcome in self.outcomes]
        ]
        if self.trouble:
            print(f"\n{self.trouble}")
        if left:
            print(f"Not run: {', '.join(left)}")
        passed, failed, skipped = (
            sum(getattr(o, name) for o in self.outcomes) for name in ("passed", "failed", "skipped")
        )
        broken = len(left) + sum(1 for o in self.outcomes if o.trouble)
        print(f"\n{self.progress.seconds:.0f} s")
        print(f"{passed} passed, {failed + broken} failed, {skipped} skipped")
        return 1 if failed or broken or self.trouble else 0


def _count(outcome: Outcome, result: Path) -> None:
    if not result.exists():
        return
    for case in ET.parse(result).getroot().iter("testcase"):  # noqa: S314 - pytest wrote it
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.failed += 1
        elif skip is not None:
            outcome.skipped += 1
            reason = skip.get("message", "")
            outcome.skips[reason] = outcome.skips.get(reason, 0) + 1
        else:
            outcome.passed += 1
