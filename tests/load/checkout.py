"""Purchases a second: from `POST /orders` until the order is confirmed in svc-orders' own database.

    make bench-checkout [ARGS="--seconds 30 --buyers 128 --concurrency 32 --traced 0.01"]

Runs against the shop that `make up` has started as host processes, or else a throwaway one. Each purchase is a cart line,
`POST /orders` and a confirmation with a card that pays, by one of so many buyers that a cart has been emptied before its
turn comes again.

One purchase in a hundred is traced, as in production (TRACE_RATIO of the gateway); each says so itself, which counts in
development. `--traced 1` has all of them traced, as those of a developer are.
"""

from __future__ import annotations

import argparse
import os
import queue
import random
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from storefront import ADDRESS

from load.client import Client
from load.cpu import seconds_by_program, spent
from load.figures import Figure, Results, percentile
from load.ground import commits_a_second

PASSWORD = "correct horse battery"


@dataclass
class Tally:
    """What happened; `began` has the moment of each `POST /orders` by order."""

    began: dict[str, datetime] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    placing: list[float] = field(default_factory=list)
    confirming: list[float] = field(default_factory=list)


def register(base_url: str, count: int) -> list[tuple[str, str]]:
    """(e-mail, access token) of new accounts, each from an address of its own."""
    made: list[tuple[str, str]] = []
    numbers = iter(range(count))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            client = Client(base_url, f"198.19.{number // 250}.{number % 250 + 1}")
            email = f"load-{uuid4().hex[:16]}@example.com"
            body = {"email": email, "password": PASSWORD, "name": "Load"}
            status, answer = client.send("POST", "/accounts/register", body)
            if status != 201:
                raise SystemExit(f"registration: {status} {answer}")
            status, answer = client.send("POST", "/accounts/token", {"email": email, "password": PASSWORD})
            if status != 200:
                raise SystemExit(f"sign-in: {status} {answer}")
            made.append((email, answer["access"]))

    _threads(work, 4)
    return made


def variants(base_url: str, wanted: int) -> list[str]:
    """Variants with plenty in stock, so that no row is hotter than in a shop of many products."""
    client = Client(base_url, "198.19.99.1")
    found: list[str] = []
    _, page = client.send("GET", "/catalog/products?in_stock=true&page_size=100")
    for item in page["results"]:
        _, product = client.send("GET", f"/catalog/products/{item['slug']}")
        found += [one["id"] for one in product["variants"] if one["available"] >= 40]
        if len(found) >= wanted:
            break
    return found


def buy(
    base_url: str,
    tokens: list[str],
    goods: list[str],
    method: str,
    seconds: float,
    at_once: int,
    traced: float,
) -> Tally:
    """Purchases by `at_once` buyers at a time for `seconds`, `traced` the share of them that leaves a trace."""
    tally, lock = Tally(), threading.Lock()
    turns: queue.Queue[int] = queue.Queue()
    for number in range(len(tokens)):
        turns.put(number)
    end = time.monotonic() + seconds

    def work() -> None:
        # One address for each purchase: the edge limits a client, and these stand for many.
        clients: dict[int, Client] = {}
        while time.monotonic() < end:
            number = turns.get()
            client = clients.setdefault(
                number, Client(base_url, f"198.19.{number // 250}.{number % 250 + 1}")
            )
            client.trace(random.random() < traced)
            outcome = _purchase(client, tokens[number], goods[number % len(goods)], method, tally, lock)
            with lock:
                tally.answers[outcome] += 1
            turns.put(number)

    _threads(work, at_once)
    return tally


def _purchase(
    client: Client, token: str, variant: str, method: str, tally: Tally, lock: threading.Lock
) -> str:
    status, answer = client.send("POST", "/cart/lines", {"variant_id": variant, "quantity": 1}, token=token)
    if status != 201:
        return f"cart {status} {answer and answer.get('code')}"
    body = {"shipping_address": ADDRESS, "shipping_method": method}
    began, started = datetime.now(UTC), time.monotonic()
    status, order = client.send("POST", "/orders", body, token=token, key=uuid4().hex)
    placed = time.monotonic() - started
    if status != 201:
        return f"order {status} {order and order.get('code')}"
    with lock:
        tally.began[order["id"]] = began
        tally.placing.append(placed)
    started = time.monotonic()
    payment = order["payment"]["id"]
    status, answer = client.send(
        "POST", f"/payments/{payment}/confirm", {"payment_method": "pm_card_visa"}, token=token
    )
    with lock:
        tally.confirming.append(time.monotonic() - started)
    return "bought" if status == 200 else f"confirm {status} {answer and answer.get('code')}"


def confirmed(database: str, orders: list[str], *, wait: float = 60) -> dict[str, datetime]:
    """When each order was confirmed in the database of svc-orders; waits until all are or the time is over."""
    until = time.monotonic() + wait
    query = (
        "SELECT order_id::text, min(at) FROM orders_orderhistory"
        " WHERE status = 'confirmed' AND order_id = ANY(%s::uuid[]) GROUP BY 1"
    )
    while True:
        with psycopg.connect(database) as connection:
            rows: dict[str, datetime] = dict(connection.execute(query, [orders]).fetchall())
        if len(rows) == len(orders) or time.monotonic() > until:
            return rows
        time.sleep(0.2)


def _threads(work: Any, count: int) -> None:
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figures", type=Path, help="a file for the results, as JSON")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--buyers", type=int, default=128)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--traced", type=float, default=0.01)
    given = parser.parse_args()
    base_url, state = os.environ["SHOP_BASE_URL"], Path(os.environ["SHOP_STATE_DIR"])
    database = os.environ["BENCH_ORDERS_DATABASE"]

    print(f"registering {given.buyers} buyers", flush=True)
    tokens = [token for _, token in register(base_url, given.buyers)]
    goods = variants(base_url, 64)
    _, methods = Client(base_url, "198.19.99.1").send("GET", "/orders/shipping-methods?country=GB")
    method = methods["results"][0]["code"]
    # Connections, caches, circuit breakers.
    buy(base_url, tokens, goods, method, 3, given.concurrency, given.traced)

    before, self_before, began = seconds_by_program(state), time.process_time(), time.monotonic()
    tally = buy(base_url, tokens, goods, method, given.seconds, given.concurrency, given.traced)
    took = time.monotonic() - began
    times = confirmed(database, list(tally.began))
    after, client = seconds_by_program(state), time.process_time() - self_before

    latencies = [(times[order] - tally.began[order]).total_seconds() for order in times]
    last = max(times.values()) if times else datetime.now(UTC)
    whole = max(took, (last - min(tally.began.values())).total_seconds()) if tally.began else took
    cost = spent(before, after)
    bought = len(times)
    print(f"answers: {dict(tally.answers)}, {given.traced:.0%} traced")
    print(f"{bought} of {len(tally.began)} orders confirmed in {whole:.1f} s: {bought / whole:.1f} a second")
    if latencies:
        row = "  ".join(
            f"p{share:g} {percentile(latencies, share / 100) * 1000:.0f} ms" for share in (50, 90, 99)
        )
        print(f"POST /orders to confirmed: {row}")
        for name, values in (("POST /orders", tally.placing), ("confirm", tally.confirming)):
            print(
                f"{name}: p50 {percentile(values, 0.5) * 1000:.0f} ms  p99 {percentile(values, 0.99) * 1000:.0f} ms"
            )
        print(f"CPU a purchase: {1000 * (sum(cost.values()) + client) / bought:.1f} ms, of which")
        for name, seconds in [("the client", client), *cost.items()]:
            if seconds / bought >= 0.00005:
                print(f"  {name:32} {1000 * seconds / bought:6.2f} ms")
    beside = f"one connection commits {commits_a_second(database):,.0f} times a second"
    figures = [
        Figure("purchases confirmed", bought / whole, "a second", 60, at_most=False, beside=beside),
        *(
            [Figure("POST /orders to confirmed, p99", percentile(latencies, 0.99), "s", 2)]
            if latencies
            else []
        ),
        *([Figure("CPU a purchase", 1000 * (sum(cost.values()) + client) / bought, "ms")] if bought else []),
    ]
    wrong = [f"{count} times {answer}" for answer, count in tally.answers.items() if answer != "bought"]
    if bought != len(tally.began):
        wrong.append(f"{len(tally.began) - bought} orders were not confirmed")
    return Results("Checkout", "make bench-checkout", tuple(figures), tuple(wrong)).hand_over(given.figures)


if __name__ == "__main__":
    sys.exit(main())
