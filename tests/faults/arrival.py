"""Whether every event that was published took effect in every service that consumes it, once."""

from __future__ import annotations

from faults.journal import Journal
from faults.site import Site
from shared_lib.contracts.subscriptions import SUBSCRIPTIONS, produced_types, subscribed_types


def mark(site: Site) -> dict[str, object]:
    """The moment by each database's clock: what is published later is looked at."""
    return {service: site.rows(service, "SELECT now() AS now")[0]["now"] for service in site.shop.services}


def check_arrival(site: Site, journal: Journal, marks: dict[str, object]) -> dict[str, int]:
    """Returns how many events each service has taken; one that did not arrive is a finding."""
    sent: dict[str, str] = {}
    for producer in site.shop.services:
        query = "SELECT id::text, type FROM outbox_event WHERE created_at >= %s"
        for row in site.rows(producer, query, (marks[producer],)):
            sent[row["id"]] = row["type"]
            if row["type"] not in produced_types(producer):
                journal.find(f"{producer} has published {row['type']}, which is not its own")
    taken: dict[str, int] = {}
    for consumer in site.shop.services:
        if not SUBSCRIPTIONS.get(consumer):
            continue
        wanted = {event for event, kind in sent.items() if kind in subscribed_types(consumer)}
        rows = site.rows(
            consumer,
            "SELECT event_id::text FROM inbox_event WHERE status = 'processed' AND event_id::text = ANY(%s)",
            (list(wanted),),
        )
        taken[consumer] = len(rows)
        journal.count(f"events into {consumer}", len(rows))
        missing = wanted - {row["event_id"] for row in rows}
        for event in sorted(missing)[:5]:
            journal.find(
                f"{sent[event]} {event} never took effect in {consumer} ({len(missing)} such events)"
            )
    journal.count("events published", len(sent))
    return taken
