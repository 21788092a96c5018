from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from effects import event_handlers as handlers
from effects.models import Effect
from effects.support import incoming, stock_changed

from shared_lib.contracts.events import StockChanged
from shared_lib.events.handlers import load_handlers
from shared_lib.inbox import retries
from shared_lib.inbox.models import InboxEvent, Status
from shared_lib.inbox.processing import Processor
from shared_lib.inbox.retention import delete_settled
from shared_lib.outbox.retention import oldest_key_after

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dead(behaviours: dict[Any, Any]) -> list[UUID]:
    """Three dead letters."""
    behaviours[StockChanged] = handlers.fail
    messages = [incoming(stock_changed()) for _ in range(3)]
    Processor(load_handlers()).process(messages)
    InboxEvent.objects.update(status=Status.DEAD, due_at=None, attempts=13)
    behaviours.clear()
    return [message.id for message in messages]


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("dead_letters", *arguments, stdout=out)
    return out.getvalue()


def test_list_shows_each_with_the_reason(dead: list[UUID]) -> None:
    text = run("list")
    for event_id in dead:
        assert str(event_id) in text
    assert text.count("ValueError: this handler fails") == 3
    assert "3 dead letters" in text
    assert "0 dead letters" in run("list", "--type", "order.confirmed.v1")


def test_show_has_the_envelope_and_the_traceback(dead: list[UUID]) -> None:
    text = run("show", str(dead[0]))
    assert '"type": "stock.changed.v1"' in text
    assert "Traceback" in text
    assert "attempts 13" in text


def test_a_replayed_dead_letter_takes_effect(dead: list[UUID]) -> None:
    assert "1 to be tried again" in run("replay", str(dead[0]))
    assert retries.run_due(Processor(load_handlers())) == 1
    assert Effect.objects.count() == 1
    row = InboxEvent.objects.get(event_id=dead[0])
    assert (row.status, row.attempts) == (Status.PROCESSED, 1)
    assert InboxEvent.objects.filter(status=Status.DEAD).count() == 2


def test_a_replayed_dead_letter_that_fails_again_has_all_its_attempts(
    dead: list[UUID], behaviours: dict[Any, Any]
) -> None:
    run("replay", "--all")
    behaviours[StockChanged] = handlers.fail
    assert retries.run_due(Processor(load_handlers())) == 3
    assert set(InboxEvent.objects.values_list("status", "attempts")) == {("waiting", 1)}


def test_a_dropped_dead_letter_never_takes_effect_even_when_it_comes_again(dead: list[UUID]) -> None:
    assert "3 dropped" in run("drop", "--type", "stock.changed.v1")
    row = InboxEvent.objects.first()
    assert row is not None
    from shared_lib.inbox.store import Incoming

    Processor(load_handlers()).process([Incoming(row.envelope, row.body)])
    assert retries.run_due(Processor(load_handlers())) == 0
    assert Effect.objects.count() == 0
    assert "0 dead letters" in run("list")


def test_naming_nothing_or_too_much_or_a_stranger_changes_nothing(dead: list[UUID]) -> None:
    for arguments in ([], ["--all", "--type", "stock.changed.v1"], [str(dead[0]), str(uuid4())]):
        with pytest.raises(CommandError):
            run("drop", *arguments)
    with pytest.raises(CommandError, match="not a dead letter"):
        run("show", str(uuid4()))
    assert InboxEvent.objects.filter(status=Status.DEAD).count() == 3


def test_retention_deletes_what_is_settled_and_keeps_what_waits(dead: list[UUID]) -> None:
    long_ago = timezone.now() - timedelta(days=60)
    base = oldest_key_after(int(long_ago.timestamp() * 1000))
    for number, status in enumerate(Status):
        settled_at = long_ago if status in (Status.PROCESSED, Status.DROPPED) else None
        InboxEvent.objects.create(
            event_id=UUID(int=base.int + number),
            type="stock.changed.v1",
            subject="x",
            status=status,
            received_at=long_ago,
            settled_at=settled_at,
        )
    Processor(load_handlers()).process([incoming(stock_changed())])
    assert delete_settled() == 2
    assert InboxEvent.objects.filter(status=Status.PROCESSED).count() == 1
    assert InboxEvent.objects.filter(status=Status.DEAD).count() == 4
    assert InboxEvent.objects.filter(status=Status.WAITING).count() == 1


def test_an_event_that_took_long_to_arrive_is_still_known_as_a_duplicate() -> None:
    """Its id is older than the time that rows are kept, but it took effect just now."""
    old = oldest_key_after(int((timezone.now() - timedelta(days=60)).timestamp() * 1000))
    now = timezone.now()
    InboxEvent.objects.create(
        event_id=old, type="x.y.v1", subject="x", status=Status.PROCESSED, received_at=now, settled_at=now
    )
    assert delete_settled() == 0
