"""The backlog: every `events` process is stopped for a minute under load, then started. Everything arrives, and how fast."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from faults import checks
from faults.arrival import check_arrival, mark
from faults.buyers import ADDRESS
from faults.client import Client, Json, connections, new_key
from faults.crowd import Person, access_token, address_of, people
from faults.journal import Journal
from faults.settle import settle, under_way
from faults.site import Site

STOPPED_SECONDS = 60.0
BUYERS_AT_ONCE = 6
ADJUSTERS = 2
#: More than anybody can do in a minute here.
MOST_BUYERS = 4000
ARRIVE_SECONDS = 120.0


def backlog(site: Site, journal: Journal, *, seed: int) -> dict[str, Any]:
    """Returns the figures: events that waited, and how many a second the relays sent and the handlers took."""
    settle(site, journal, seconds=60)
    variants = _stocked(site)
    crowd = iter(people(site, MOST_BUYERS))
    marks = mark(site)
    events = [f"{service}-events" for service in site.shop.services]
    journal.begin()
    site.stop(events)
    journal.note("events stopped")
    print(f"{journal.now:7.1f} s  events stopped; buyers for {STOPPED_SECONDS:.0f} s", flush=True)

    stop = threading.Event()
    orders: list[tuple[Person, Json]] = []
    with ThreadPoolExecutor(BUYERS_AT_ONCE + ADJUSTERS) as pool:
        # Each iterator step is one buyer, whichever thread takes it.
        lock = threading.Lock()

        def next_person() -> Person | None:
            with lock:
                return next(crowd, None)

        work = [
            pool.submit(_buy, site, journal, next_person, variants, orders, stop)
            for _ in range(BUYERS_AT_ONCE)
        ]
        work += [pool.submit(_adjust, site, journal, variants[-1], stop) for _ in range(ADJUSTERS)]
        time.sleep(STOPPED_SECONDS)
        stop.set()
        for each in work:
            each.result()
    waiting = sum(
        site.number(service, "SELECT count(*) FROM outbox_event WHERE published_at IS NULL")
        for service in site.shop.services
    )
    too_early = site.number(
        "svc-orders",
        "SELECT count(*) FROM orders_order WHERE status = 'confirmed' AND id::text = ANY(%s)",
        ([order["id"] for _, order in orders],),
    )
    if too_early:
        journal.find(f"{too_early} orders were confirmed while events were stopped: they were not stopped")

    started = time.monotonic()
    site.start(events)
    journal.note("events started", waiting=waiting)
    print(
        f"{journal.now:7.1f} s  {len(orders)} orders paid, {waiting} events wait; events started", flush=True
    )
    left, seconds = _wait_for_events(site, started)
    if left:
        journal.find(f"{seconds:.0f} s after the start of events there are still some under way: {left}")
    settle(site, journal, seconds=60)
    taken = check_arrival(site, journal, marks)
    _check_orders(site, journal, orders)
    checks.audit(site, journal)
    if waiting < 1000:
        journal.find(f"only {waiting} events waited: too few to show anything")
    return {
        "orders": len(orders),
        "events that waited": waiting,
        "seconds until all had taken effect": round(seconds, 1),
        "events taken in that time, by all services": sum(taken.values()),
        "events a second, all services together": round(sum(taken.values()) / seconds),
        **{
            f"relay of {service}, events in the best second": rate
            for service, rate in _relay_rates(site, marks).items()
        },
        **{
            f"handlers of {service}, events in the best second": rate
            for service, rate in _handler_rates(site, marks, taken).items()
        },
    }


def _wait_for_events(site: Site, started: float) -> tuple[dict[str, int], float]:
    """What of the events is still under way when the time is up, and the seconds until nothing was."""
    last = time.monotonic()
    quiet = 0
    while time.monotonic() - started < ARRIVE_SECONDS:
        left = {what: number for what, number in under_way(site).items() if "event" in what}
        if left:
            last, quiet = time.monotonic(), 0
        else:
            quiet += 1
        if quiet == 3:
            return {}, last - started
        time.sleep(0.3)
    return left, time.monotonic() - started


def _stocked(site: Site) -> list[Json]:
    rows = site.rows(
        "svc-catalog",
        "SELECT s.variant_id::text AS id FROM catalog_stock s JOIN catalog_variant v ON v.id = s.variant_id"
        " JOIN catalog_product p ON p.id = v.product_id WHERE p.status = 'published' AND v.deleted_at IS NULL"
        " ORDER BY v.id DESC LIMIT 9",
    )
    client = Client(
        site.base_url, "198.20.3.1", Journal(), patience=30, access=access_token(site, uuid4(), ("staff",))
    )
    for row in rows:
        answer = client.call(
            "adjust",
            "POST",
            f"/catalog/variants/{row['id']}/stock",
            {"delta": 2000, "reason": "fault test"},
            key=new_key(),
        )
        if answer.status != 200:
            raise RuntimeError(f"no stock: {answer.body}")
    client.close()
    return rows


def _buy(
    site: Site,
    journal: Journal,
    next_person: Any,
    variants: list[Json],
    orders: list[tuple[Person, Json]],
    stop: threading.Event,
) -> None:
    """One buyer after the other: cart, order, payment."""
    http = connections(site.base_url)
    number = threading.get_ident()
    while not stop.is_set() and (person := next_person()) is not None:
        number += 1
        client = Client(
            site.base_url, address_of(number), journal, patience=30, access=person.access, http=http
        )
        variant = variants[number % (len(variants) - 1)]
        line = {"variant_id": variant["id"], "quantity": 1}
        added = client.call("cart", "POST", "/cart/lines", line, key=new_key())
        body = {"shipping_address": ADDRESS, "shipping_method": "standard"}
        placed = client.call("order", "POST", "/orders", body, key=new_key())
        if added.status != 201 or placed.status != 201:
            journal.find(f"without events an order cannot be placed: {added}, {placed}: {placed.body}")
            continue
        paid = client.call(
            "confirm",
            "POST",
            f"/payments/{placed.body['payment']['id']}/confirm",
            {"payment_method": "pm_card_visa"},
        )
        if paid.body.get("status") != "succeeded":
            journal.find(f"without events an order cannot be paid: {paid}: {paid.body}")
            continue
        orders.append((person, placed.body))
    http.close()


def _adjust(site: Site, journal: Journal, variant: Json, stop: threading.Event) -> None:
    """A warehouse at work: each change of a stock is an event for svc-cart and for svc-catalog itself."""
    http = connections(site.base_url)
    while not stop.is_set():
        # One user may ask only so often.
        client = Client(
            site.base_url,
            address_of(threading.get_ident() + journal.counts["adjusted"]),
            journal,
            patience=30,
            access=access_token(site, uuid4(), ("staff",)),
            http=http,
        )
        for _ in range(20):
            body = {"delta": 1, "reason": "fault test"}
            client.call("adjust", "POST", f"/catalog/variants/{variant['id']}/stock", body, key=new_key())
            journal.count("adjusted")
            if stop.is_set():
                break
    http.close()


def _check_orders(site: Site, journal: Journal, orders: list[tuple[Person, Json]]) -> None:
    rows = site.rows(
        "svc-orders",
        "SELECT id::text, status FROM orders_order WHERE id::text = ANY(%s)",
        ([order["id"] for _, order in orders],),
    )
    status = {row["id"]: row["status"] for row in rows}
    for _, order in orders:
        if status.get(order["id"]) != "confirmed":
            journal.find(
                f"order {order['id']} was paid while events were stopped and is {status.get(order['id'])}"
            )
    journal.count("orders confirmed", sum(each == "confirmed" for each in status.values()))


def _relay_rates(site: Site, marks: dict[str, object]) -> dict[str, int]:
    """The most that a relay sent within one second of what had waited."""
    rates = {}
    for service in site.shop.services:
        query = (
            "SELECT coalesce(max(number), 0) AS number FROM (SELECT count(*) AS number FROM outbox_event WHERE created_at >= %s"
            " AND published_at > created_at + interval '2 s' GROUP BY date_trunc('second', published_at)) AS second"
        )
        if number := site.number(service, query, (marks[service],)):
            rates[service] = number
    return rates


def _handler_rates(site: Site, marks: dict[str, object], taken: dict[str, int]) -> dict[str, int]:
    """The most that a consumer took within one second, while the others worked too."""
    rates = {}
    for service in taken:
        query = (
            "SELECT coalesce(max(number), 0) AS number FROM (SELECT count(*) AS number FROM inbox_event"
            " WHERE received_at >= %s GROUP BY date_trunc('second', received_at)) AS second"
        )
        rates[service] = site.number(service, query, (marks[service],))
    return rates
