"""What is on its way is no finding, what is on its way for too long is one."""

from __future__ import annotations

import threading
import time

from audit import run
from audit.cli import urls

CONFIRMED_HERE = """
    WITH o AS (SELECT id FROM orders_order WHERE status = 'awaiting_payment' ORDER BY id LIMIT 1), h AS (
        INSERT INTO orders_orderhistory (id, order_id, status, at, reason, created_at, updated_at)
        SELECT 'ffffffff-0000-7000-8000-000000000001', id, 'confirmed', now(), '', now(), now() FROM o
    ), e AS (
        INSERT INTO outbox_event (id, type, subject, body, created_at)
        SELECT 'ffffffff-0000-7000-8000-000000000002', 'order.confirmed.v1', id::text, '{}', now() FROM o
    )
    UPDATE orders_order SET status = 'confirmed', payment_status = 'paid', close_at = NULL, updated_at = now()
    WHERE id = (SELECT id FROM o)
"""
LAGGING = {"paid-order-has-its-money", "confirmed-order-sold-its-lines", "event-is-published-in-time"}


def an_hour_ago(shop) -> None:
    shop.change(
        "svc-orders",
        "UPDATE orders_order SET updated_at = now() - interval '1 hour' WHERE status = 'confirmed'",
    )
    shop.change(
        "svc-orders",
        "UPDATE outbox_event SET created_at = now() - interval '1 hour' WHERE published_at IS NULL",
    )


def test_what_another_service_has_not_heard_yet_is_in_flight(shop, capsys):
    """An order that was confirmed just now: neither payments nor catalog know of it, and its event is still to be published."""
    shop.change("svc-orders", CONFIRMED_HERE)
    code, report = shop.audit()
    assert (code, report["findings"]) == (0, [])
    assert {each["name"] for each in report["invariants"] if each["in_flight"]} == LAGGING
    assert not report["rechecked"], "nothing was old enough to be looked at again"
    assert "3 differences in flight" in capsys.readouterr().out


def test_the_same_after_the_limit_is_a_finding(shop, broken):
    shop.change("svc-orders", CONFIRMED_HERE)
    an_hour_ago(shop)
    code, report = shop.audit()
    assert code == 1
    assert broken(report) == LAGGING


def test_the_limit_is_an_option(shop, broken):
    shop.change("svc-orders", CONFIRMED_HERE)
    assert shop.audit("--in-flight-limit", "60")[0] == 0
    code, report = shop.audit("--in-flight-limit", "0")
    assert code == 1
    assert "confirmed-order-sold-its-lines" in broken(report)


def test_what_heals_during_the_wait_is_no_finding(shop):
    """The copy of the stock in svc-cart arrives while the audit waits."""
    first = "(SELECT min(variant_id::text) FROM cart_stock)::uuid"
    behind = f"UPDATE cart_stock SET available = available - 1 WHERE variant_id = {first}"
    shop.change("svc-cart", behind)

    def heal() -> None:
        time.sleep(0.7)
        shop.change("svc-cart", behind.replace("- 1", "+ 1"))

    healer = threading.Thread(target=heal)
    healer.start()
    report = run(urls(shop.environ), in_flight_limit=0, wait=3)
    healer.join()
    assert report.clean
    assert report.rechecked
    assert {tally.invariant.name: tally.healed for tally in report.tallies if tally.healed} == {
        "cart-shows-what-is-there": 1
    }


def test_what_a_database_guarantees_at_every_commit_counts_at_once(shop, broken):
    """However young, and without a second look."""
    shop.change("svc-catalog", "UPDATE catalog_product SET variants_in_stock = 0, updated_at = now()")
    code, report = shop.audit("--wait", "30")
    assert code == 1
    assert broken(report) == {"product-counts-what-is-in-stock"}
    assert report["seconds"] < 30


def test_an_event_that_is_received_before_it_is_marked_as_published_is_fine(shop):
    """The relay marks after the broker confirmed; the consumer may be quicker."""
    shop.change("svc-catalog", "UPDATE outbox_event SET published_at = NULL, created_at = now()")
    assert shop.audit()[0] == 0


def test_events_from_before_a_subscription_can_be_left_out(shop, broken):
    shop.change("svc-cart", "DELETE FROM inbox_event WHERE type = 'product.published.v1'")
    code, report = shop.audit()
    assert code == 1
    assert broken(report) == {"event-reaches-every-subscriber"}
    assert shop.audit("--events-since", "2999-01-01T00:00:00+00:00")[0] == 0


def test_events_that_retention_removed_are_not_missed(shop):
    """Outboxes keep a week, inboxes two: an old event is in the inbox alone."""
    shop.change(
        "svc-cart",
        """
        INSERT INTO inbox_event (event_id, type, subject, status, received_at, settled_at, attempts, deferrals, error, body)
        SELECT (lpad(to_hex((extract(epoch FROM now() - interval '8 days') * 1000)::bigint), 12, '0')
                || '70008000000000000001')::uuid,
               'stock.changed.v1', '', 'processed', now() - interval '8 days', now() - interval '8 days', 0, 0, '', ''
        """,
    )
    assert shop.audit()[0] == 0


def test_of_an_erased_user_nothing_is_missed(shop, broken):
    """svc-notifications forgets what it told an erased user, and tells nothing more."""
    user = shop.ask(
        "svc-notifications",
        "SELECT user_id::text FROM notifications_email WHERE kind = 'order_shipped' LIMIT 1",
    )
    shop.change("svc-notifications", f"DELETE FROM notifications_email WHERE user_id = '{user}'")
    assert broken(shop.audit()[1]) == {"event-is-mailed-to-its-user"}
    shop.change("svc-notifications", f"DELETE FROM notifications_notification WHERE user_id = '{user}'")
    assert broken(shop.audit()[1]) == {"event-is-in-the-inbox-of-its-user"}
    shop.change(
        "svc-notifications", f"UPDATE notifications_recipient SET erased_at = now() WHERE user_id = '{user}'"
    )
    assert shop.audit()[0] == 0


def test_no_mail_is_missed_for_an_order_that_the_buyers_next_one_replaced(shop):
    shop.change("svc-notifications", "DELETE FROM notifications_email WHERE kind = 'order_cancelled'")
    assert shop.audit()[0] == 1
    shop.change(
        "svc-notifications",
        "UPDATE notifications_notification SET data = '{\"reason\": \"replaced\"}' WHERE kind = 'order_cancelled'",
    )
    assert shop.audit()[0] == 0


def test_a_payment_that_outlasts_the_catalogs_backstop_is_fine(shop, broken):
    """The reservation expired while the money was on its way; it is taken again, or the money goes back."""
    order = shop.ask(
        "svc-orders",
        "SELECT id::text FROM orders_order WHERE status = 'awaiting_payment' ORDER BY id LIMIT 1",
    )
    shop.change(
        "svc-catalog",
        f"""
        WITH r AS (
            UPDATE catalog_reservation SET status = 'released', expires_at = now() - interval '1 minute' WHERE order_id = '{order}'
        ), s AS (
            UPDATE catalog_stock s SET reserved = reserved - l.quantity, version = version + 1
            FROM catalog_reservationline l WHERE l.reservation_id = '{order}' AND l.variant_id = s.variant_id
            RETURNING s.variant_id, s.version, l.quantity
        )
        INSERT INTO catalog_stockmovement
            (variant_id, stock_version, kind, on_hand_delta, reserved_delta, reference, reason, created_at)
        SELECT variant_id, version, 'released', 0, -quantity, '{order}', '', now() FROM s
        """,
    )
    shop.change("svc-catalog", "UPDATE catalog_stock SET updated_at = now()")
    assert broken(shop.audit()[1]) == {"unpaid-order-holds-its-lines"}
    shop.change("svc-orders", f"UPDATE orders_order SET payment_status = 'processing' WHERE id = '{order}'")
    assert shop.audit()[0] == 0


def test_a_canceled_payment_may_be_known_to_one_side_only(shop):
    """svc-payments keeps a tombstone of what it never had; svc-orders forgets the draft of a checkout that was undone."""
    shop.change("svc-payments", "DELETE FROM payments_payment WHERE status = 'canceled'")
    assert shop.audit()[0] == 0
    shop.change("svc-orders", "DELETE FROM orders_order WHERE status = 'draft'")
    assert shop.audit()[0] == 0
