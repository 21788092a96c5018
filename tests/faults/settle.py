"""Waiting until nothing is under way any more, and what still is."""

from __future__ import annotations

import time

import amqp
import psycopg

from faults.journal import Journal
from faults.site import Site
from shared_lib.contracts.subscriptions import SUBSCRIPTIONS

#: Pauses between two tries of the same thing, which grow to hours: they are ended at once. Waiting them out proves nothing.
_IMPATIENCE = {
    "svc-orders": (
        "UPDATE orders_refund SET due_at = now() WHERE due_at > now()",
        "UPDATE orders_checkoutsaga SET deadline = now() WHERE step = 'undoing' AND deadline > now()",
        "UPDATE orders_order SET close_at = now() WHERE status = 'awaiting_payment' AND close_reason <> '' AND close_at > now()",
    ),
    "svc-payments": (
        "UPDATE payments_refund SET due_at = now() WHERE due_at > now()",
        "UPDATE payments_webhookevent SET due_at = now() WHERE due_at > now()",
        "UPDATE payments_paymentattempt SET due_at = now() WHERE due_at > now() + interval '5 s'",
    ),
    "svc-notifications": ("UPDATE notifications_email SET due_at = now() WHERE due_at > now()",),
}
_IMPATIENCE_EVERYWHERE = (
    "UPDATE inbox_event SET due_at = now() WHERE status = 'waiting' AND due_at > now() + interval '1 s'"
)

_UNDER_WAY = {
    "svc-orders": {
        "orders that wait": "SELECT count(*) FROM orders_order WHERE status = 'awaiting_payment'",
        "checkouts": "SELECT count(*) FROM orders_checkoutsaga WHERE step IN ('started', 'reserving', 'undoing')",
        "refunds": "SELECT count(*) FROM orders_refund WHERE status IN ('pending', 'accepted')",
    },
    "svc-payments": {
        "refunds": "SELECT count(*) FROM payments_refund WHERE status = 'pending'",
        "webhooks": "SELECT count(*) FROM payments_webhookevent WHERE settled_at IS NULL",
        "attempts": "SELECT count(*) FROM payments_paymentattempt WHERE state IN ('running', 'processing')",
    },
    "svc-notifications": {"mails": "SELECT count(*) FROM notifications_email WHERE due_at IS NOT NULL"},
}


def under_way(site: Site) -> dict[str, int]:
    """What is not finished, by name; empty when all is."""
    found: dict[str, int] = {}
    for service in site.shop.services:
        unsent = "SELECT count(*) FROM outbox_event WHERE published_at IS NULL"
        questions = {"events to send": unsent, **_UNDER_WAY.get(service, {})}
        if SUBSCRIPTIONS.get(service):
            questions["events to try again"] = "SELECT count(*) FROM inbox_event WHERE status = 'waiting'"
        for what, query in questions.items():
            if number := site.number(service, query):
                found[f"{service}: {what}"] = number
    for queue, number in site.queued().items():
        if number and not queue.endswith(".dead"):
            found[f"queue {queue}"] = number
    if waiting := site.provider("GET", "/control/faults")["counters"]["waiting"]:
        found["provider: webhooks"] = waiting
    return found


def settle(site: Site, journal: Journal, *, seconds: float) -> float:
    """Waits until nothing is under way and returns how long that took; more than `seconds` is a finding."""
    began = time.monotonic()
    left: dict[str, int] = {"everything": 1}
    quiet = 0
    hurried = 0.0
    while time.monotonic() - began < seconds:
        try:
            left = under_way(site)
            if time.monotonic() - hurried > 3:
                _hurry(site)
                hurried = time.monotonic()
        except (psycopg.OperationalError, amqp.AMQPError, OSError) as error:
            left = {f"a store does not answer: {error}": 1}
        # Between two queues an event is nowhere for a moment: only a second look is to be believed.
        quiet = 0 if left else quiet + 1
        if quiet == 3:
            return time.monotonic() - began
        time.sleep(0.3)
    said = ", ".join(f"{what} {number}" for what, number in left.items())
    journal.find(f"after {seconds:.0f} s without faults there is still something under way: {said}")
    return time.monotonic() - began


def _hurry(site: Site) -> None:
    for service in site.shop.services:
        for statement in (*_IMPATIENCE.get(service, ()), _IMPATIENCE_EVERYWHERE):
            site.rows(service, statement)
