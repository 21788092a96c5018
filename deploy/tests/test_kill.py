"""kill -9 of every process of the running stack. The list is read from the process tree.

Stores and edge lose one process at a time, services one each at once: what serves the others is killed alone.
SHOP_DEMO_AFTER_EACH=1 kills everything alone and buys something after each kill, not only after the last: slow, for a
thorough look.
"""

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass

import pytest

from shop import launch, ports, processes, stack, supervisor
from shop.envfile import prefix
from shop.layout import ROOT, find_layout
from shop.report import Progress

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]
SECONDS_TO_RECOVER = 60


@dataclass(frozen=True)
class Target:
    """A process, and what it is: its program, how deep below it, its command without numbers."""

    pid: int
    program: str
    depth: int
    command: str

    @property
    def kind(self) -> tuple[str, int, str]:
        # The program itself is one kind whatever its command is: some execute another one on their way. So is every backend of
        # PostgreSQL, which calls itself after whom it serves and what it does at the moment.
        backend = self.program == "postgres" and re.search(r"\(\d+\)", self.command)
        what = "backend" if backend else re.sub(r"\d+", "N", self.command)[:100]
        return self.program, self.depth, what if self.depth else ""

    @property
    def owner(self) -> str:
        """Whose it is: a service, or the program itself."""
        return self.program.rpartition("-")[0] if self.program.startswith("svc-") else self.program

    @property
    def lasting(self) -> bool:
        """True unless it comes on demand only: a connection's backend, a helper of RabbitMQ."""
        return not self.depth or not (self.program == "rabbitmq" or "svc_" in self.command)


class Shop:
    """The stack that `make test` or `make up` has started, seen from outside."""

    def __init__(self) -> None:
        layout = find_layout()
        found = stack.find(layout, Progress())
        number = supervisor.pid(layout)
        assert found is not None, "there are no settings: is the stack up?"
        assert number is not None, "the supervisor does not run"
        self.stack, self.supervisor = found, number
        self.programs = {program.name: program for program in found.programs()}

    def states(self) -> dict[str, dict]:
        return supervisor.states(self.stack.rpc)

    def targets(self) -> list[Target]:
        owners = {info["pid"]: name for name, info in self.states().items()}
        found = []
        for pid in processes.descendants(self.supervisor):
            above, depth = pid, 0
            while above not in owners and (parent := processes.stat(above)) and parent[1] > 1:
                above, depth = parent[1], depth + 1
            # A launcher is a program that is not there yet, a name in brackets is a process that is just going, and Nginx's
            # loader of the cache comes once, a minute after the start, and goes by itself.
            if (
                above in owners
                and "launch.py" not in (command := processes.command(pid))
                and "cache loader" not in command
                and command[0] not in "?["
            ):
                found.append(Target(pid, owners[above], depth, command))
        return found

    def trouble(self) -> list[str]:
        """What is not as it should be now, in words."""
        states = self.states().items()
        found = [f"{name} is {info['statename']}" for name, info in states if info["statename"] != "RUNNING"]
        listening = ports.listening()
        for program in self.programs.values():
            for port in program.listens:
                addresses = [address for address, _ in listening.get(port, [])]
                if not addresses or len(addresses) != len(set(addresses)):
                    found += [f"port {port} of {program.name} has {len(addresses)} listeners"]
        probes = [
            ("postgres", "POSTGRES_PORT", ""),
            ("redis", "REDIS_PORT", ""),
            ("amqp", "RABBITMQ_PORT", ""),
        ]
        probes += [("http", f"{prefix(service)}_PORT", "/readyz") for service in self.stack.services]
        probes.append(("http", "GATEWAY_PORT", "/readyz"))
        env = self.stack.env
        found += [
            f"{port} does not answer"
            for kind, port, path in probes
            if not launch.answers(kind, int(env[port]), path)
        ]
        return found + self.orphans()

    def orphans(self) -> list[str]:
        """Processes of the stack that belong to no program any more."""
        owned = {info["pid"] for info in self.states().values()}
        below = set(processes.descendants(self.supervisor))
        loose = [
            pid
            for pid in below
            if (its := processes.stat(pid)) and its[1] == self.supervisor and pid not in owned
        ]
        outside = [
            pid for pid in processes.of_stack(self.stack.layout.state) if pid not in below | {self.supervisor}
        ]
        return [
            f"orphan {pid} {processes.command(pid)}" for pid in (*loose, *outside) if processes.alive(pid)
        ]

    def recover(self, killed: Collection[Target] = ()) -> float:
        """Seconds until nothing is wrong and all of `killed` have successors; fails when that takes too long."""
        began = time.monotonic()
        # First the successors: until the supervisor has noticed a death, everything looks well.
        while wrong := self.missing(killed) or self.trouble():
            assert time.monotonic() - began < SECONDS_TO_RECOVER, wrong
            time.sleep(0.1)
        return time.monotonic() - began

    def missing(self, killed: Collection[Target]) -> list[str]:
        """Says so as long as a killed process has no successor."""
        there = self.targets()
        return [
            f"{target} does not come back"
            for target in killed
            if target.lasting and not any(its.kind == target.kind and its.pid != target.pid for its in there)
        ]

    def next(self, killed: Collection[tuple[str, int, str]], *, alone: bool) -> list[Target]:
        """What to kill at once: kinds that were not killed yet, of each service one, or one of anything else."""
        left = [target for target in self.targets() if target.kind not in killed]
        of_services = {target.owner: target for target in reversed(left) if target.program.startswith("svc-")}
        others = [target for target in left if not target.program.startswith("svc-")]
        return left[:1] if alone else others[:1] or list(of_services.values())


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop()


_buyers = itertools.count(1)


def buy(shop: Shop) -> None:
    # Each buyer has an address of its own: one address may register only ten accounts a minute.
    address = f"198.19.0.{next(_buyers)}"
    env = {"PATH": os.environ["PATH"], **shop.stack.for_clients(), "SHOP_CLIENT_ADDRESS": address}
    done = subprocess.run(
        [sys.executable, "demo.py"], cwd=ROOT / "tests", env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_process_comes_back_after_kill_9_with_one_listener_and_no_orphan(shop: Shop) -> None:
    shop.recover()
    killed: set[tuple[str, int, str]] = set()
    thorough = bool(os.environ.get("SHOP_DEMO_AFTER_EACH"))
    while targets := shop.next(killed, alone=thorough):
        for target in targets:
            os.kill(target.pid, signal.SIGKILL)
        for target in targets:
            while processes.alive(target.pid):
                time.sleep(0.01)
        seconds = shop.recover(targets)
        killed |= {target.kind for target in targets}
        for target in targets:
            print(f"{seconds:5.1f} s  {target.program} {target.depth} {target.command[:80]}", flush=True)
        if thorough:
            buy(shop)
    assert {program for program, depth, _ in killed if depth == 0} == set(shop.programs)
    assert any(program.endswith("-web") and depth for program, depth, _ in killed), "no web worker was killed"
    buy(shop)
