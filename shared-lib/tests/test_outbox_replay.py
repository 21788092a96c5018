from __future__ import annotations

from datetime import timedelta
from functools import partial
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from effects import event_handlers as handlers
from effects.models import Effect
from effects.support import eventually, incoming, publish_committed, running, stock_changed
from kombu import Connection

from shared_lib.contracts.events import StockChanged
from shared_lib.events import replayable
from shared_lib.events.handlers import load_handlers
from shared_lib.inbox.consumer import Consumer
from shared_lib.inbox.models import InboxEvent, Status
from shared_lib.inbox.processing import Processor
from shared_lib.inbox.store import Incoming
from shared_lib.outbox.models import OutboxEvent
from shared_lib.outbox.relay import Relay

pytestmark = pytest.mark.django_db(transaction=True)


def again(message: Incoming) -> Incoming:
    return Incoming(message.envelope, message.body, replay=True)


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("replay_events", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def marked() -> Processor:
    return Processor(
        {
            **load_handlers(),
            StockChanged.event_type: replayable(partial(handlers.on_stock_changed)),
        }
    )


def test_a_replay_takes_effect_again_where_the_handler_is_marked(marked: Processor) -> None:
    messages = [incoming(stock_changed()) for _ in range(3)]
    marked.process(messages)
    marked.process([again(message) for message in messages])
    assert Effect.objects.count() == 6
    marked.process([again(messages[0])])
    assert Effect.objects.count() == 7
    assert InboxEvent.objects.count() == 3


def test_a_replay_does_nothing_where_the_handler_is_not_marked() -> None:
    plain = Processor(load_handlers())
    message = incoming(stock_changed())
    plain.process([again(message)])
    plain.process([again(message), again(incoming(stock_changed()))])
    assert Effect.objects.count() == 0
    assert not InboxEvent.objects.exists()


def test_a_replay_that_never_came_before_is_known_as_a_duplicate_afterwards(marked: Processor) -> None:
    message = incoming(stock_changed())
    marked.process([again(message), again(incoming(stock_changed()))])
    marked.process([message])
    assert Effect.objects.count() == 2


def test_a_replay_that_fails_is_kept_as_any_other_failure(
    marked: Processor, behaviours: dict[Any, Any]
) -> None:
    messages = [incoming(stock_changed()) for _ in range(2)]
    marked.process(messages)
    behaviours[StockChanged] = handlers.fail
    marked.process([again(message) for message in messages])
    assert set(InboxEvent.objects.values_list("status", "attempts")) == {(Status.WAITING, 1)}
    assert Effect.objects.count() == 2


def test_the_command_replays_what_was_published_to_one_queue(
    broker: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked = replayable(partial(handlers.on_stock_changed))
    monkeypatch.setitem(handlers.EVENT_HANDLERS, StockChanged, marked)
    with running(Relay()), running(Consumer()):
        publish_committed(*[stock_changed() for _ in range(5)])
        eventually(lambda: Effect.objects.count() == 5)
        since = (timezone.now() - timedelta(minutes=5)).isoformat()
        assert run("svc-catalog", "--since", since, "--dry-run") == "5 events\n"
        assert "5 of 5" in run("svc-catalog", "--since", since, "--type", "stock.changed.v1")
        eventually(lambda: Effect.objects.count() == 10)
    waiting_elsewhere = broker.default_channel.queue_declare("svc-cart.events", passive=True).message_count
    assert waiting_elsewhere == 5
    assert "0 events" in run("svc-catalog", "--since", since, "--until", since, "--dry-run")


def test_what_is_not_published_yet_is_not_replayed() -> None:
    publish_committed(stock_changed())
    assert OutboxEvent.objects.count() == 1
    assert run("svc-cart", "--since", "2026-01-01T00:00:00Z", "--dry-run") == "0 events\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["svc-nobody", "--since", "2026-01-01T00:00:00Z"], "not one of the services"),
        (
            ["svc-payments", "--since", "2026-01-01T00:00:00Z"],
            "svc-payments consumes no event of svc-catalog",
        ),
        (
            ["svc-cart", "--since", "2026-01-01T00:00:00Z", "--type", "order.placed.v1"],
            "consumes no order.placed.v1",
        ),
        (["svc-cart", "--since", "yesterday"], "is not a time"),
        (["svc-cart", "--since", "2026-13-01T00:00:00Z"], "is not a time"),
    ],
)
def test_a_replay_that_makes_no_sense_is_refused_with_a_sentence(arguments: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        run(*arguments)
