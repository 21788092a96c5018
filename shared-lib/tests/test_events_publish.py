from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import connection, transaction
from effects.support import publish_committed, stock_changed

from shared_lib.contracts.events import CartAbandoned, StockChanged
from shared_lib.events import CannotPublish, publish, publish_all
from shared_lib.events.envelope import InvalidEvent
from shared_lib.observability import context
from shared_lib.outbox import direct
from shared_lib.outbox.models import OutboxEvent

pytestmark = pytest.mark.django_db(transaction=True)


@transaction.atomic
def publish_and_fail(event: StockChanged) -> None:
    publish(event, subject=event.variant_id)
    raise ZeroDivisionError


def test_an_event_is_written_with_the_transaction_that_it_tells_of() -> None:
    event = stock_changed(version=4)
    with transaction.atomic():
        envelope = publish(event, subject=event.variant_id)
    row = OutboxEvent.objects.get()
    assert (row.id, row.type, row.subject) == (envelope.id, "stock.changed.v1", str(event.variant_id))
    assert row.event == event
    assert row.envelope == envelope
    assert row.published_at is None


def test_publishing_outside_a_transaction_is_refused() -> None:
    event = stock_changed()
    with pytest.raises(CannotPublish, match=r"transaction\.atomic"):
        publish(event, subject=event.variant_id)
    assert not OutboxEvent.objects.exists()


def test_a_rollback_publishes_nothing() -> None:
    with pytest.raises(ZeroDivisionError):
        publish_and_fail(stock_changed())
    assert not OutboxEvent.objects.exists()


def test_the_rollback_of_a_savepoint_takes_its_event_and_no_other() -> None:
    kept, lost = stock_changed(), stock_changed()
    with transaction.atomic():
        publish(kept, subject=kept.variant_id)
        with pytest.raises(ZeroDivisionError):
            publish_and_fail(lost)
    assert OutboxEvent.objects.get().event == kept


def test_another_service_s_event_is_refused() -> None:
    with transaction.atomic(), pytest.raises(CannotPublish, match="svc-cart"):
        publish(CartAbandoned(version=1, cart_id=uuid4(), user_id=uuid4()), subject="x")
    assert not OutboxEvent.objects.exists()


def test_of_several_events_all_are_written_or_none() -> None:
    good = stock_changed()
    with transaction.atomic(), pytest.raises(InvalidEvent):
        publish_all([(good, good.variant_id), (good, "")])
    assert not OutboxEvent.objects.exists()


def test_an_event_carries_the_trace_of_the_request_that_made_it() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    context.begin(traceparent=trace)
    publish_committed(stock_changed())
    assert OutboxEvent.objects.get().envelope.traceparent == trace


def test_one_statement_an_event_and_one_notification_a_transaction(django_assert_num_queries: Any) -> None:
    with direct.connect() as listener:
        listener.execute("LISTEN outbox")
        with transaction.atomic(), django_assert_num_queries(2):
            for _ in range(2):
                event = stock_changed()
                publish(event, subject=event.variant_id)
        assert len(list(listener.notifies(timeout=0.3))) == 1


def test_the_direct_connection_is_outside_django_s_and_ends_itself_when_it_falls_silent() -> None:
    with direct.connect() as one:
        options = {
            name: one.execute("SELECT current_setting(%s)", (name,)).fetchone()
            for name in ("idle_session_timeout", "tcp_user_timeout", "application_name")
        }
        assert options == {
            "idle_session_timeout": ("8s",),
            "tcp_user_timeout": ("5000",),
            "application_name": ("events relay",),
        }
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            assert cursor.fetchone() != one.execute("SELECT pg_backend_pid()").fetchone()


def test_a_direct_url_goes_before_the_pooled_one(settings: Any) -> None:
    settings.DATABASE_DIRECT_URL = "postgresql://nobody:x@127.0.0.1:1/none"
    with pytest.raises(psycopg.OperationalError):
        direct.connect()
