"""Waiting until programs answer, and saying why when one does not."""

import time
from collections.abc import Callable

from shop import gateway, launch, rabbitmq, services, supervisor
from shop.disk import explain_full
from shop.envfile import prefix
from shop.layout import Layout
from shop.problems import Problem

#: Seconds that a program may take to get ready.
PATIENCE = 120.0
#: A program that died this often while somebody waited for it is broken, not slow.
STARTS = 3


class Readiness:
    """Waits for the programs of one stack.

    Each method returns once everything it names answers, and raises Problem with the end of the program's log when one has
    had its time, or has died too often to believe in it.
    """

    def __init__(self, layout: Layout, env: dict[str, str], found: list[str]) -> None:
        self._layout, self._env, self._services = layout, env, found
        self._calls = supervisor.Calls(env)

    def port(self, kind: str, port: str, name: str, path: str = "/") -> None:
        """The program `name` answers on the port that the setting `port` names."""
        self._until(lambda: None if launch.answers(kind, int(self._env[port]), path) else name)

    def everything(self) -> None:
        """Every program runs and answers, and somebody reads from every queue."""
        self.port("amqp", "RABBITMQ_PORT", "rabbitmq")
        for service in self._services:
            self.port("http", f"{prefix(service)}_PORT", f"{service}-web", "/readyz")
        self.port("http", "MAIL_WEB_PORT", "mail", "/healthz")
        self.port("http", "TRACES_PORT", "traces", "/healthz")
        self.port("http", "SANDBOX_PORT", "sandbox", "/healthz")
        if gateway.present(self._layout):
            self.port("http", "GATEWAY_PORT", "gateway", "/readyz")
        for host, queues in services.queues(self._services).items():
            self._until(lambda host=host, queues=queues: self._unread(host, queues))  # type: ignore[misc]
        self._until(self._not_running)

    def _unread(self, host: str, queues: list[str]) -> str | None:
        missing = set(queues) - rabbitmq.consumed(self._env, host, queues)
        process = "events" if host == rabbitmq.EVENTS else "worker"
        return f"{min(missing).rpartition('.')[0]}-{process}" if missing else None

    def _not_running(self) -> str | None:
        states = supervisor.states(self._calls)
        return next((name for name, info in states.items() if info["statename"] != "RUNNING"), None)

    def _until(self, missing: Callable[[], str | None]) -> None:
        """Wait while `missing` names a program."""
        deadline = time.monotonic() + PATIENCE
        look = time.monotonic() + 1
        pids: dict[str, set[int]] = {}
        while name := missing():
            if time.monotonic() > look:
                look = time.monotonic() + 0.5
                info = supervisor.states(self._calls).get(name)
                if info and info["pid"]:
                    pids.setdefault(name, set()).add(info["pid"])
            if time.monotonic() > deadline or len(pids.get(name, ())) > STARTS:
                self._give_up(name)
            time.sleep(0.05)

    def _give_up(self, name: str) -> None:
        log = self._layout.logs / f"{name}.log"
        said = log.read_text(errors="replace").strip().splitlines()[-15:] if log.exists() else []
        text = "\n".join(said)
        explain_full(text)
        raise Problem(f"{name} does not get ready. The end of {log}:\n{text}")
