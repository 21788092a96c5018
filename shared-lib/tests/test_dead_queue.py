"""Messages that nobody could decode: listed, shown, replayed and dropped by command, and never lost on the way."""

from __future__ import annotations

import signal
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from effects.models import Effect
from effects.support import Process, Wire, eventually, incoming, running, stock_changed
from kombu import Connection

from shared_lib import failpoints
from shared_lib.events import metrics
from shared_lib.events.bus import Subscription
from shared_lib.events.dead_queue import DeadQueue, key_of
from shared_lib.inbox import consumer as consumer_module
from shared_lib.inbox.consumer import Consumer
from shared_lib.inbox.models import InboxEvent, Status

pytestmark = pytest.mark.django_db(transaction=True)

BODIES = (b"not json", b"\xff\x00\x1b[2J", b'{"specversion": "1.0"}')
KEYS = [key_of(body) for body in BODIES]


@pytest.fixture
def undecodable(broker: Connection) -> Connection:
    """A dead-letter queue with three messages that the consumer has put there."""
    channel = broker.default_channel
    for body in BODIES:
        channel.basic_publish(channel.prepare_message(body), "shop.events", "stock.changed.v1")
    with running(Consumer()):
        eventually(lambda: waiting(broker) == 3)
    return broker


def waiting(broker: Connection, queue: str = "svc-catalog.events.dead") -> int:
    return broker.default_channel.queue_declare(queue, passive=True).message_count


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("dead_letters", *arguments, stdout=out)
    return out.getvalue()


def test_list_shows_each_with_the_reason_and_leaves_it_there(undecodable: Connection) -> None:
    for _ in range(3):
        text = run("list")
        assert all(key in text for key in KEYS)
        assert text.count("not a CloudEvents envelope") == 3
        assert "0 dead letters" in text
        assert "3 undecodable messages" in text
        assert "\x1b" not in text
        eventually(lambda: waiting(undecodable) == 3)
    limited = run("list", "--limit", "1")
    assert sum(key in limited for key in KEYS) == 1
    assert "3 undecodable messages" in limited


def test_show_has_all_bytes_and_the_reason(undecodable: Connection) -> None:
    text = run("show", KEYS[1])
    assert r"\xff\x00\x1b[2J" in text
    assert "6 bytes, put aside 20" in text
    assert "not a CloudEvents envelope" in text
    with pytest.raises(CommandError, match="not among"):
        run("show", "0" * 16)
    eventually(lambda: waiting(undecodable) == 3)


def test_a_dropped_message_is_gone_and_the_others_wait(undecodable: Connection) -> None:
    assert run("drop", KEYS[0]) == "1 dropped\n"
    eventually(lambda: waiting(undecodable) == 2)
    assert KEYS[0] not in run("list")
    eventually(lambda: waiting(undecodable) == 2)
    assert run("drop", "--undecodable") == "2 dropped\n"
    eventually(lambda: waiting(undecodable) == 0)


def test_what_a_newer_consumer_can_decode_takes_effect_when_it_is_replayed(
    broker: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = incoming(stock_changed())
    with Subscription(settings.EVENTS_BROKER_URL, "svc-catalog") as subscription:
        subscription.deliver("svc-catalog.events.dead", message.body.encode(), {})
    assert "1 to be tried again" in run("replay", key_of(message.body.encode()))
    with running(Consumer()):
        eventually(lambda: Effect.objects.count() == 1)
    assert (waiting(broker), waiting(broker, "svc-catalog.events")) == (0, 0)


def test_what_is_still_undecodable_comes_back_once_and_not_in_a_circle(undecodable: Connection) -> None:
    with running(Consumer()):
        assert "3 to be tried again" in run("replay", "--undecodable")
        eventually(lambda: waiting(undecodable) == 3)
    assert sorted(key for key in KEYS if key in run("list")) == sorted(KEYS)


def test_all_means_both_kinds(undecodable: Connection) -> None:
    InboxEvent.objects.create(
        event_id=stock_changed().variant_id, type="stock.changed.v1", subject="x", status=Status.DEAD,
        received_at="2026-01-01T00:00:00Z", body="{}",
    )  # fmt: skip
    assert run("drop", "--all") == "4 dropped\n"
    eventually(lambda: waiting(undecodable) == 0)
    assert not InboxEvent.objects.filter(status=Status.DEAD).exists()


def test_naming_too_much_or_a_stranger_changes_nothing(undecodable: Connection) -> None:
    for arguments in (["--all", "--undecodable"], [KEYS[0], "0" * 16], [KEYS[0], "--all"]):
        with pytest.raises(CommandError):
            run("drop", *arguments)
    with pytest.raises(CommandError, match="invalid name_of value"):
        run("drop", "something")
    eventually(lambda: waiting(undecodable) == 3)


def test_no_more_are_looked_at_than_was_allowed(undecodable: Connection) -> None:
    with pytest.raises(CommandError, match="first 1 "):
        run("drop", *KEYS, "--scan", "1")
    assert run("drop", "--undecodable", "--scan", "2") == "2 dropped\n"
    eventually(lambda: waiting(undecodable) == 1)


def test_without_a_broker_the_rows_are_listed_and_the_rest_is_said(events_wire: Wire) -> None:
    events_wire.cut()
    out = StringIO()
    with pytest.raises(CommandError, match="The broker is away"):
        call_command("dead_letters", "list", stdout=out)
    assert "0 dead letters" in out.getvalue()


def test_looking_more_often_than_rabbitmq_allows_by_itself_loses_nothing(undecodable: Connection) -> None:
    """RabbitMQ 4 drops a message after 20 returns unless the queue says otherwise."""
    for _ in range(25):
        with DeadQueue(settings.EVENTS_BROKER_URL, "svc-catalog") as queue:
            eventually(lambda: queue.count() == 3)
            assert len(list(queue.take(10))) == 3


def test_how_many_wait_is_a_metric(undecodable: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_module, "MEASURE_SECONDS", 0.0)
    with running(Consumer()):
        eventually(lambda: metrics.UNDECODABLE_WAITING._value.get() == 3)
        run("drop", "--undecodable")
        eventually(lambda: metrics.UNDECODABLE_WAITING._value.get() == 0)


def command(*arguments: str, **environment: str) -> Process:
    return Process("django", "dead_letters", *arguments, **environment)


def test_a_replay_that_is_killed_between_copy_and_removal_loses_nothing(
    broker: Connection, tmp_path: Path
) -> None:
    message = incoming(stock_changed())
    with Subscription(settings.EVENTS_BROKER_URL, "svc-catalog") as subscription:
        for body in (*BODIES, message.body.encode()):
            subscription.deliver("svc-catalog.events.dead", body, {})
    failpoints.arm(tmp_path, "svc-catalog", "dead_letters.copied")
    with command("replay", key_of(message.body.encode()), FAILPOINTS_DIR=str(tmp_path)) as process:
        assert process.wait(within=30) == -signal.SIGKILL, process.output
    eventually(lambda: waiting(broker) == 4)
    assert waiting(broker, "svc-catalog.events") == 1
    run("replay", key_of(message.body.encode()))
    with running(Consumer()):
        eventually(lambda: waiting(broker, "svc-catalog.events") == 0 and Effect.objects.exists())
    assert Effect.objects.count() == 1
    assert waiting(broker) == 3


def test_a_consumer_that_is_killed_while_it_puts_a_message_aside_loses_nothing(
    broker: Connection, tmp_path: Path
) -> None:
    channel = broker.default_channel
    channel.basic_publish(channel.prepare_message(BODIES[0]), "shop.events", "stock.changed.v1")
    failpoints.arm(tmp_path, "svc-catalog", "inbox.copied_aside")
    with Process("django", "run_events", FAILPOINTS_DIR=str(tmp_path)) as process:
        assert process.wait(within=30) == -signal.SIGKILL, process.output
    with running(Consumer()):
        eventually(lambda: waiting(broker, "svc-catalog.events") == 0 and waiting(broker) >= 1)
    assert 1 <= waiting(broker) <= 2
