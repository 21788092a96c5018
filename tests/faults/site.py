"""The running stack, as somebody sees it who may kill its processes and read its tables."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from celery import Celery
from psycopg.rows import dict_row

from faults.pace import Pace
from shared_lib.contracts.subscriptions import SUBSCRIPTIONS
from shop import postgres, processes, rabbitmq, services, stack, supervisor
from shop.layout import Layout

Json = dict[str, Any]


class Site:
    """`proxy` is the control port of the proxy through which the services reach their stores and each other."""

    def __init__(self, shop: stack.Stack, *, proxy: int, failpoints: Path) -> None:
        self.shop = shop
        self.failpoints = failpoints
        #: Cancelled orders whose money could not be paid back: a person has to look at them.
        self.keeping: set[str] = set()
        self.base_url = services.base_url(shop.env)
        self.pace = Pace(shop.layout)
        self._proxy = proxy
        self._local = threading.local()

    @property
    def layout(self) -> Layout:
        return self.shop.layout

    # Programs

    def states(self) -> dict[str, Json]:
        return supervisor.states(self.shop.rpc)

    def processes_of(self, program: str) -> list[int]:
        """The live processes of a program, the first one first; none while it is only about to start."""
        info = self.states().get(program)
        if not info or not info["pid"]:
            return []
        return [
            pid
            for pid in (int(info["pid"]), *sorted(processes.descendants(int(info["pid"]))))
            if processes.alive(pid) and "launch.py" not in processes.command(pid)
        ]

    def kill(self, program: str, place: int) -> str | None:
        """SIGKILL one process of a program; returns its command, None if there was none to kill."""
        found = self.processes_of(program)
        if not found:
            return None
        pid = found[place % len(found)]
        command = processes.command(pid)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return None
        return command

    def stop(self, names: list[str]) -> None:
        """Stop programs in an orderly way; returns when they are gone."""
        supervisor.stop_programs(self.shop.rpc, names, patience=60)

    def start(self, names: list[str]) -> None:
        self.shop.start(names)

    def start_everything(self) -> None:
        """Whatever is down is started; returns when the payment provider answers, which is needed to heal it."""
        self.shop.start(list(self.states()))
        self.shop.ready.port("http", "SANDBOX_PORT", "sandbox", "/healthz")

    # Connections

    def disturb(self, do: str, link: str = "", **how: Any) -> dict[str, dict[str, int]]:
        """A command to the proxy; returns its counters by link."""
        with socket.create_connection(("127.0.0.1", self._proxy), timeout=10) as connection:
            connection.sendall(json.dumps({"do": do, "link": link, **how}).encode() + b"\n")
            with connection.makefile() as stream:
                answer: Json = json.loads(stream.readline())
        if "error" in answer:
            raise ValueError(answer["error"])
        counts: dict[str, dict[str, int]] = answer["counts"]
        return counts

    def links(self) -> list[str]:
        return list(self.disturb("count"))

    # What is stored

    def rows(self, service: str, query: str, parameters: Any = ()) -> list[Json]:
        """Read or write as the cluster's owner, not through the proxy."""
        with postgres.connect(self.shop.env, postgres.role_of(service)) as connection:
            cursor = connection.cursor(row_factory=dict_row)
            cursor.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def number(self, service: str, query: str, parameters: Any = ()) -> int:
        return int(next(iter(self.rows(service, query, parameters)[0].values())) or 0)

    def queued(self) -> dict[str, int]:
        """Messages that wait in each queue of events, dead letters among them."""
        import amqp

        found: dict[str, int] = {}
        with amqp.Connection(
            host=f"127.0.0.1:{self.shop.env['RABBITMQ_PORT']}",
            userid="runner",
            password=self.shop.env["RABBITMQ_PASSWORD"],
            virtual_host=rabbitmq.EVENTS,
        ) as connection:
            for service in self.shop.services:
                if not SUBSCRIPTIONS.get(service):
                    continue
                for queue in (f"{service}.events", f"{service}.events.dead"):
                    with suppress(amqp.NotFound):
                        found[queue] = connection.channel().queue_declare(queue, passive=True).message_count
        return found

    def ask_for_task(self, service: str, *names: str) -> None:
        """Have a worker run tasks now, by the message that the beat would send. Raises OSError, kombu's OperationalError."""
        env = self.shop.env
        url = f"amqp://runner:{env['RABBITMQ_PASSWORD']}@127.0.0.1:{env['RABBITMQ_PORT']}/{rabbitmq.jobs_host(service)}"
        with Celery("faults", broker=url, set_as_current=False) as app:
            app.conf.update(broker_connection_timeout=2, task_default_queue=f"{service}.jobs")
            for name in names:
                app.send_task(name, queue=f"{service}.jobs", expires=10, retry=False)

    # The payment provider

    def provider(self, method: str, path: str, body: Json | None = None) -> Json:
        """A call to the provider's own API, not through the proxy."""
        answer = httpx.request(
            method,
            f"http://127.0.0.1:{self.shop.env['SANDBOX_PORT']}{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.shop.env['SANDBOX_API_KEY']}"},
            timeout=10,
        )
        answer.raise_for_status()
        document: Json = answer.json() if answer.content else {}
        return document

    def charges(self) -> Iterator[Json]:
        """Every payment intent that the provider knows."""
        after = ""
        while True:
            page = self.provider("GET", f"/v1/payment_intents?limit=100{after}")
            yield from page["data"]
            if not page["has_more"]:
                return
            after = f"&starting_after={page['data'][-1]['id']}"
