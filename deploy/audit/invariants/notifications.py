"""svc-notifications: what users are told of what happened to their orders."""

from __future__ import annotations

from audit.databases import Snapshots
from audit.invariants.money import PAYMENTS
from audit.invariants.orders import ORDERS
from audit.model import Difference, Rows, invariant

NOTIFICATIONS = "svc-notifications"

# Younger than what retention removes from the outboxes, where the user of an event is looked up.
_DAYS = 6
_SHOWN = """(VALUES
    ('order.placed.v1', 'order_placed'), ('order.confirmed.v1', 'order_confirmed'), ('order.cancelled.v1', 'order_cancelled'),
    ('order.shipped.v1', 'order_shipped'), ('order.delivered.v1', 'order_delivered'), ('order.refunded.v1', 'order_refunded'),
    ('order.return_rejected.v1', 'order_return_rejected'), ('payment.attempt_failed.v1', 'payment_attempt_failed')
) AS told (type, kind)"""
_MAILED = """(VALUES
    ('order.confirmed.v1', 'order_confirmed'), ('order.cancelled.v1', 'order_cancelled'), ('order.shipped.v1', 'order_shipped'),
    ('order.delivered.v1', 'order_delivered'), ('order.refunded.v1', 'order_refunded'),
    ('order.return_rejected.v1', 'order_return_rejected')
) AS told (type, kind)"""


def _unless_erased(now: Snapshots, differences: list[Difference]) -> list[Difference]:
    """Of a user who was erased nothing is left, and nothing is written any more."""
    ids = [each.id for each in differences]
    users: dict[str, str] = {}
    for service in (ORDERS, PAYMENTS):
        users |= dict(
            now.rows(
                service,
                "SELECT id::text, body::json #>> '{data,user_id}' FROM outbox_event WHERE id = ANY(%(ids)s::uuid[])",
                {"ids": ids},
            )
        )
    erased = {
        row[0]
        for row in now.rows(
            NOTIFICATIONS,
            "SELECT user_id::text FROM notifications_recipient WHERE erased_at IS NOT NULL AND user_id = ANY(%(ids)s::uuid[])",
            {"ids": sorted(set(users.values()))},
        )
    }
    return [each for each in differences if each.id in users and users[each.id] not in erased]


NOTIFICATION_INVARIANTS = (
    invariant(
        "event-is-in-the-inbox-of-its-user",
        "What happened to an order and was received stands in its buyer's inbox.",
        Rows(
            NOTIFICATIONS,
            f"""
            SELECT i.event_id::text, told.kind || ' in the inbox', 'nothing', NULL::float8
            FROM inbox_event i JOIN {_SHOWN} ON told.type = i.type
            LEFT JOIN notifications_notification n ON n.event_id = i.event_id AND n.kind = told.kind
            WHERE i.status = 'processed' AND n.id IS NULL AND i.received_at > now() - interval '{_DAYS} days'
            """,  # noqa: S608 - made of constants
            f"inbox_event i JOIN {_SHOWN} ON told.type = i.type",
            _unless_erased,
        ),
    ),
    invariant(
        "event-is-mailed-to-its-user",
        "What of an order is told by mail has one, sent or to be sent.",
        Rows(
            NOTIFICATIONS,
            f"""
            SELECT i.event_id::text, told.kind || ' by mail', 'no mail', NULL::float8
            FROM inbox_event i JOIN {_MAILED} ON told.type = i.type
            JOIN notifications_notification n ON n.event_id = i.event_id AND n.kind = told.kind
            LEFT JOIN notifications_email e ON e.event_id = i.event_id AND e.kind = told.kind
            WHERE i.status = 'processed' AND e.id IS NULL AND i.received_at > now() - interval '{_DAYS} days'
              AND NOT (told.kind = 'order_cancelled' AND n.data ->> 'reason' = 'replaced')
            """,  # noqa: S608 - made of constants
            f"inbox_event i JOIN {_MAILED} ON told.type = i.type",
            _unless_erased,
        ),
    ),
)
