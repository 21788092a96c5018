"""Real processes that are killed with SIGKILL at every failpoint of shared code: nothing lost, nothing twice in effect."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from effects.models import Chore, Effect
from effects.support import Process, events_process, eventually, publish_committed, stock_changed
from kombu import Connection
from sample.models import Note

from shared_lib import failpoints
from shared_lib.inbox.models import InboxEvent, Status
from shared_lib.jobs.rows import claim_due
from shared_lib.outbox.models import OutboxEvent

pytestmark = pytest.mark.django_db(transaction=True)

SERVICE = "svc-catalog"
RELAY_AND_INBOX = (
    "relay.publish.before",
    "relay.publish.after",
    "relay.marked",
    "inbox.uncommitted",
    "inbox.committed",
    "inbox.acknowledged",
)
JOBS = ("jobs.hint.before", "jobs.hint.after")
IN_ONE_TRANSACTION = (
    "idempotency.claimed",
    "idempotency.complete.before",
    "idempotency.complete.after",
    "idempotency.committed",
)
# Those are killed in tests/test_dead_queue.py.
ELSEWHERE = ("inbox.copied_aside", "dead_letters.copied")


def test_every_shared_failpoint_is_met_by_a_kill() -> None:
    killed = (*RELAY_AND_INBOX, *JOBS, *IN_ONE_TRANSACTION, *ELSEWHERE)
    assert sorted(killed) == sorted(failpoints.NAMES[failpoints.SHARED])


class Supervised:
    """An events process that is started again when it has died, as its supervisor would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: Process | None = None

    def up(self) -> Process:
        if self.process is None:
            self.process = events_process(FAILPOINTS_DIR=str(self.folder))
            self.process.says("relay_leads")
        return self.process

    def await_kill(self) -> None:
        assert self.process is not None
        assert self.process.wait(within=30) == -signal.SIGKILL, self.process.output
        self.process.__exit__()
        self.process = None


@pytest.fixture(scope="module")
def supervised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    found = Supervised(tmp_path_factory.mktemp("failpoints"))
    yield found
    if found.process is not None:
        found.process.__exit__()


@pytest.mark.parametrize("point", RELAY_AND_INBOX)
def test_a_relay_and_consumer_killed_at_a_point_lose_nothing_and_double_nothing(
    point: str, broker: Connection, supervised: Supervised
) -> None:
    supervised.up()
    events = [stock_changed() for _ in range(30)]
    publish_committed(*events[:10])
    eventually(lambda: Effect.objects.count() == 10, within=20)
    failpoints.arm(supervised.folder, SERVICE, point)
    publish_committed(*events[10:20])
    supervised.await_kill()
    publish_committed(*events[20:])  # while nothing runs
    supervised.up()
    eventually(lambda: Effect.objects.count() >= 30, within=20)
    eventually(lambda: not OutboxEvent.objects.filter(published_at=None).exists())
    eventually(lambda: _waiting(broker) == 0)
    assert sorted(Effect.objects.values_list("event_key", flat=True)) == sorted(
        f"{event.variant_id}:{event.version}" for event in events
    )
    assert InboxEvent.objects.filter(status=Status.PROCESSED).count() == 30


def _waiting(broker: Connection) -> int:
    return broker.default_channel.queue_declare(f"{SERVICE}.events", passive=True).message_count


def crash(what: str, key: str, folder: Path | None = None) -> tuple[int, str]:
    """Exit code and last line of a process that does `what` once."""
    environment = {"FAILPOINTS_DIR": str(folder)} if folder else {}
    with Process("effects.crash", what, key, **environment) as process:
        code = process.wait(within=30)
    return code, (process.output.strip().splitlines() or [""])[-1]


@pytest.mark.parametrize("point", IN_ONE_TRANSACTION)
def test_a_request_killed_at_a_point_is_answered_by_its_retry_and_has_one_effect(
    point: str, tmp_path: Path
) -> None:
    failpoints.arm(tmp_path, SERVICE, point)
    assert crash("request", "k", tmp_path) == (-signal.SIGKILL, "")
    committed = point == "idempotency.committed"
    eventually(lambda: Note.objects.count() == (1 if committed else 0))
    assert crash("request", "k") == (0, "201 true" if committed else "201 false")
    assert Note.objects.count() == 1


@pytest.mark.parametrize("point", IN_ONE_TRANSACTION[:3])
def test_leased_work_killed_at_a_point_is_resumed_by_a_retry_after_the_lease(
    point: str, tmp_path: Path
) -> None:
    from shared_lib.idempotency.models import IdempotencyKey

    failpoints.arm(tmp_path, SERVICE, point)
    assert crash("lease", "k", tmp_path)[0] == -signal.SIGKILL
    assert not Effect.objects.exists()
    begun = IdempotencyKey.objects.get()
    assert begun.lease_expires_at is not None
    time.sleep(max((begun.lease_expires_at.timestamp() - time.time()), 0) + 0.05)
    assert crash("lease", "k") == (0, f"resumed {begun.resource_id}")
    assert crash("lease", "k") == (0, f"replayed {begun.resource_id}")
    assert list(Effect.objects.values_list("event_key", flat=True)) == [str(begun.resource_id)]


@pytest.mark.parametrize("point", JOBS)
def test_a_process_killed_around_the_hint_leaves_the_row_that_guarantees_the_job(
    point: str, jobs_broker: Connection, tmp_path: Path
) -> None:
    failpoints.arm(tmp_path, SERVICE, point)
    assert crash("job", "k", tmp_path)[0] == -signal.SIGKILL
    hints = jobs_broker.default_channel.queue_declare(f"{settings.SERVICE_NAME}.jobs", passive=True)
    assert hints.message_count == (0 if point.endswith("before") else 1)
    assert [chore.name for chore in claim_due(Chore.objects.all(), limit=10)] == ["k"]
    assert claim_due(Chore.objects.all(), limit=10) == []
