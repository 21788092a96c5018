"""How fast events get from one service to another: relay, consumer, and from commit to effect.

    make bench-events [ARGS="--events 30000 --rate 80 --seconds 20"]

The producer is svc-catalog, the consumer svc-cart with its real handlers, each with a database of its own, which is made before
and dropped after. The virtual host must be for this alone: queues in it are emptied. `stock.changed` of many variants is what
is sent. Relay and consumer are processes of their own, as they are in the shop.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from kombu import Connection

from shared_lib.contracts.subscriptions import SUBSCRIPTIONS
from shared_lib.events import topology

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from load.cpu import seconds_below
from load.figures import Figure, Results, percentile
from load.ground import commits_a_second

ROOT = Path(__file__).resolve().parents[2]
PRODUCER, CONSUMER = "svc-catalog", "svc-cart"


class Bench:
    def __init__(self, database: str, broker: str) -> None:
        self.admin, self.broker = database, broker

    def url_of(self, service: str) -> str:
        return urlunsplit(urlsplit(self.admin)._replace(path=f"/bench_{service.replace('-', '_')}"))

    @contextmanager
    def databases(self) -> Iterator[None]:
        with psycopg.connect(self.admin, autocommit=True) as admin:
            for service in (PRODUCER, CONSUMER):
                name = self.url_of(service).rpartition("/")[2]
                admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
                admin.execute(f'CREATE DATABASE "{name}"')
                self.run(service, "django.core.management.call_command('migrate', verbosity=0)")
            try:
                yield
            finally:
                for service in (PRODUCER, CONSUMER):
                    admin.execute(f'DROP DATABASE "{self.url_of(service).rpartition("/")[2]}" WITH (FORCE)')

    def process(self, service: str, code: str) -> subprocess.Popen[str]:
        """A process with the settings of `service`; it lasts until its standard input is closed, if it waits for that."""
        head = (
            "import os, sys, json, time, threading, django\n"
            "from shared_lib.testing.environment import prepare; prepare()\n"
            "import django.core.management; django.setup()\n"
        )
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": self.url_of(service),
            "EVENTS_BROKER_URL": self.broker,
            "JOBS_BROKER_URL": self.broker,
            "MEDIA_ROOT": "/nonexistent",
            "DATABASE_CONN_MAX_AGE": "60",
        }
        return subprocess.Popen(
            [sys.executable, "-c", head + code],
            cwd=ROOT / service,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, service: str, code: str) -> str:
        process = self.process(service, code)
        out, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"{service}: exit {process.returncode}")
        return out

    @contextmanager
    def relay(self) -> Iterator[subprocess.Popen[str]]:
        with self._loop(PRODUCER, "from shared_lib.outbox.relay import Relay as Loop") as process:
            yield process

    @contextmanager
    def consumer(self) -> Iterator[subprocess.Popen[str]]:
        """Tells of every event when its effect was committed: a line of JSON for each transaction, at the end."""
        with self._loop(
            CONSUMER,
            "from shared_lib.inbox import processing\n"
            "from shared_lib.inbox.consumer import Consumer as Loop\n"
            "committed = []\n"
            "report = processing._report\n"
            "def observe(tally):\n"
            "    now = time.time()\n"
            "    committed.extend((str(each.id), now) for each in tally.processed)\n"
            "    report(tally)\n"
            "processing._report = observe",
            "print(json.dumps(committed))",
        ) as process:
            yield process

    @contextmanager
    def _loop(self, service: str, imports: str, at_end: str = "") -> Iterator[subprocess.Popen[str]]:
        process = self.process(
            service,
            f"{imports}\nstop = threading.Event(); loop = Loop()\n"
            "thread = threading.Thread(target=loop.run, args=(stop,)); thread.start()\n"
            "while not loop.pulse.ready: time.sleep(0.01)\n"
            "print('ready', flush=True); sys.stdin.read(); stop.set(); thread.join()\n" + at_end,
        )
        while process.stdout is None or process.stdout.readline() != "ready\n":
            if process.poll() is not None:
                raise SystemExit(f"{service}: exit {process.returncode}")
        try:
            yield process
        finally:
            if process.poll() is None and process.stdin is not None and not process.stdin.closed:
                process.communicate()

    def publish(self, count: int, *, rate: float = 0.0, chunk: int = 1000) -> list[tuple[str, float]]:
        """`count` events in transactions of `chunk`, or one by one at `rate` a second; ids with the time of the commit."""
        out = self.run(
            PRODUCER,
            "from uuid import UUID\n"
            "from django.db import connection, transaction\n"
            "from shared_lib.contracts.events import StockChanged\n"
            "from shared_lib.events import publish_all\n"
            "from shared_lib.ids import uuid7\n"
            f"count, rate, chunk = {count}, {rate}, {1 if rate else chunk}\n"
            "variants = [uuid7() for _ in range(2000)]\n"
            "versions = dict.fromkeys(variants, 0)\n"
            "sent, began = [], time.time()\n"
            "for start in range(0, count, chunk):\n"
            "    if rate: time.sleep(max(began + start / rate - time.time(), 0))\n"
            "    events = []\n"
            "    for number in range(start, min(start + chunk, count)):\n"
            "        variant = variants[number % 2000]; versions[variant] += 1\n"
            "        events.append((StockChanged(version=versions[variant], variant_id=variant, product_id=variant,"
            " available=number), variant))\n"
            "    with transaction.atomic(): made = publish_all(events)\n"
            "    now = time.time(); sent += [(str(each.id), now) for each in made]\n"
            "print(json.dumps([sent, time.time() - began]))\n",
        )
        sent, self.publish_seconds = json.loads(out.strip().splitlines()[-1])
        return [(event_id, at) for event_id, at in sent]

    def query(self, service: str, sql: str) -> Any:
        with psycopg.connect(self.url_of(service)) as connection:
            row = connection.execute(sql).fetchone()
            return row[0] if row else None

    def wait(self, service: str, sql: str, value: int, *, within: float = 300) -> float:
        """Seconds until the query gives `value`."""
        started = time.monotonic()
        with psycopg.connect(self.url_of(service), autocommit=True) as connection:
            while (row := connection.execute(sql).fetchone()) is None or row[0] != value:
                if time.monotonic() - started > within:
                    raise SystemExit(f"{service}: {row} instead of {value} after {within:.0f} s")
                # Each look counts all rows, on the processors that are measured.
                time.sleep(0.2)
        return time.monotonic() - started

    def empty_queues(self) -> None:
        with Connection(self.broker) as connection:
            for service in SUBSCRIPTIONS:
                for name in (topology.queue_name(service), topology.dead_queue_name(service)):
                    connection.channel().queue_delete(name)
            topology.declare(connection, PRODUCER)
            topology.declare(connection, CONSUMER)


PENDING = "SELECT count(*) FROM outbox_event WHERE published_at IS NULL"
PROCESSED = "SELECT count(*) FROM inbox_event WHERE status = 'processed'"


def throughput(bench: Bench, count: int) -> list[Figure]:
    bench.empty_queues()
    bench.publish(count)
    published = f"publish_all, 1,000 a transaction: {count / bench.publish_seconds:,.0f} a second"
    with bench.relay() as relay:
        cpu = seconds_below(relay.pid)
        bench.wait(PRODUCER, PENDING, 0)
        relay_cpu = seconds_below(relay.pid) - cpu
    span = "SELECT extract(epoch FROM max(published_at) - min(published_at))::float8 FROM outbox_event"
    batches = (
        "SELECT count(*) FROM outbox_event WHERE published_at = (SELECT min(published_at) FROM outbox_event)"
    )
    first, seconds = bench.query(PRODUCER, batches), bench.query(PRODUCER, span)
    with bench.consumer() as consumer:
        cpu = seconds_below(consumer.pid)
        bench.wait(CONSUMER, PROCESSED, count)
        consumer_cpu = seconds_below(consumer.pid) - cpu
    span = "SELECT extract(epoch FROM max(settled_at) - min(settled_at))::float8 FROM inbox_event"
    consumed = count / bench.query(CONSUMER, span)
    return [
        Figure(
            "relay catching up",
            (count - first) / seconds,
            "events a second",
            8000,
            at_most=False,
            beside=published,
        ),
        Figure("relay, CPU", relay_cpu / count * 1e6, "µs an event"),
        Figure("consumer catching up (svc-cart)", consumed, "events a second", 3000, at_most=False),
        Figure("consumer, CPU", consumer_cpu / count * 1e6, "µs an event"),
    ]


def latency(bench: Bench, rate: float, seconds: float) -> list[Figure]:
    bench.empty_queues()
    count = int(rate * seconds)
    before = bench.query(CONSUMER, PROCESSED)
    with bench.relay(), bench.consumer() as consumer:
        bench.publish(int(rate), rate=rate)  # connections and prepared statements are made
        sent = dict(bench.publish(count, rate=rate))
        bench.wait(CONSUMER, PROCESSED, before + count + int(rate))
        out, _ = consumer.communicate()
    committed = dict(json.loads(out.strip().splitlines()[-1]))
    delays = [(committed[event_id] - at) * 1000 for event_id, at in sent.items()]
    what = f"commit to effect at {rate:.0f} events a second"
    return [
        Figure(f"{what}, p50", percentile(delays, 0.5), "ms", 10, beside=f"{count:,} events"),
        Figure(
            f"{what}, p99",
            percentile(delays, 0.99),
            "ms",
            100,
            beside=f"p90 {percentile(delays, 0.9):.1f} ms",
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=30_000)
    parser.add_argument("--rate", type=float, default=80.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--only", choices=("throughput", "latency"))
    parser.add_argument("--figures", type=Path, help="a file for the results, as JSON")
    options = parser.parse_args()
    # A user who may create databases, and a virtual host of its own, whose queues are emptied.
    database = os.environ["BENCH_DATABASE"]
    bench = Bench(database, os.environ["BENCH_BROKER"])
    figures = [Figure("durable commits, one connection", commits_a_second(database), "a second")]
    with bench.databases():
        if options.only != "latency":
            figures += throughput(bench, options.events)
        if options.only != "throughput":
            figures += latency(bench, options.rate, options.seconds)
    return Results("Events", "make bench-events", tuple(figures)).hand_over(options.figures)


if __name__ == "__main__":
    sys.exit(main())
