"""The worker as a process, on a real RabbitMQ."""

from __future__ import annotations

import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from effects.models import Effect
from effects.support import Process, Wire, eventually
from effects.tasks import fail, hang, note, note_slowly, run_for_ever
from kombu import Connection

from shared_lib.jobs import enqueue, hints
from tests.jobs_app import app

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _closed_circuit() -> Iterator[None]:
    hints._circuit.reset()
    yield
    hints._circuit.reset()


def worker(**environment: str) -> Process:
    arguments = [
        "--pool",
        "threads",
        "--concurrency",
        "2",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    ]
    return Process(
        "celery", "--app", "tests.jobs_app", "worker", *arguments, "--loglevel", "INFO",
        **{"EMBEDDED_BEAT": "false", **environment},
    )  # fmt: skip


def keys() -> list[str]:
    return list(Effect.objects.order_by("id").values_list("event_key", flat=True))


def test_hinted_tasks_run_and_a_failure_harms_no_other(jobs_broker: Connection) -> None:
    enqueue(fail, "bad")
    for number in range(10):
        enqueue(note, str(number))
    with worker() as process:
        eventually(lambda: len(keys()) == 10, within=30)
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
    assert sorted(keys()) == sorted(map(str, range(10)))
    assert "ValueError: bad" in process.output
    assert jobs_broker.default_channel.queue_declare("svc-catalog.jobs", passive=True).message_count == 0


def test_a_task_survives_the_kill_of_its_worker(jobs_broker: Connection) -> None:
    enqueue(note_slowly, "slow", 3.0)
    enqueue(note, "quick")
    with worker() as process:
        eventually(lambda: "slow:started" in keys() and "quick" in keys(), within=30)
        time.sleep(1.5)  # an acknowledgement at the start would have left by now
        process.signal(signal.SIGKILL)
        process.wait()
    assert "slow" not in keys()
    with worker():
        eventually(lambda: "slow" in keys(), within=30)
    assert keys().count("slow") == 1


def test_a_worker_that_is_stopped_finishes_what_it_began(jobs_broker: Connection) -> None:
    enqueue(note_slowly, "slow", 2.0)
    with worker() as process:
        eventually(lambda: "slow:started" in keys(), within=30)
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
    assert keys() == ["slow:started", "slow"]
    assert jobs_broker.default_channel.queue_declare("svc-catalog.jobs", passive=True).message_count == 0


def test_a_worker_that_is_stopped_does_not_wait_for_ever_and_its_task_runs_again(
    jobs_broker: Connection,
) -> None:
    enqueue(note_slowly, "slow", 25.0)
    with worker(DRAIN_SECONDS="1.5") as process:
        eventually(lambda: "slow:started" in keys(), within=30)
        process.signal(signal.SIGTERM)
        assert process.wait(within=6) == 1
    assert keys() == ["slow:started"]
    eventually(
        lambda: jobs_broker.default_channel.queue_declare("svc-catalog.jobs", passive=True).message_count == 1
    )


def test_a_task_past_its_soft_limit_is_interrupted(jobs_broker: Connection) -> None:
    enqueue(run_for_ever, "ever")
    with worker():
        eventually(lambda: keys() == ["ever"], within=30)
        enqueue(note, "after")
        eventually(lambda: "after" in keys())


def test_a_worker_with_a_stuck_task_ends_and_the_next_one_goes_on(jobs_broker: Connection) -> None:
    enqueue(hang, "stuck")
    with worker() as process:
        assert process.wait(within=40) == 1
    assert "task_stuck" in process.output
    assert "in hang" in process.output
    with worker():
        enqueue(note, "after")
        eventually(lambda: "after" in keys(), within=30)
    assert keys().count("stuck") == 1


def test_the_beat_is_a_thread_of_the_worker_and_writes_no_file(
    jobs_broker: Connection, tmp_path: Path
) -> None:
    before = set(Path.cwd().iterdir())
    with worker(EMBEDDED_BEAT="true") as process:
        eventually(lambda: keys().count("tick") >= 3, within=30)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        assert children.read_text().split() == []
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
    assert set(Path.cwd().iterdir()) == before


def test_without_the_beat_no_periodic_task_runs(jobs_broker: Connection) -> None:
    with worker():
        enqueue(note, "one")
        eventually(lambda: "one" in keys(), within=30)
        time.sleep(2)
    assert keys() == ["one"]


def test_worker_and_beat_outlive_a_broker_that_is_cut_off(jobs_broker: Connection) -> None:
    host, port = jobs_broker.hostname, jobs_broker.port
    with Wire(host, port) as wire:
        url = settings.JOBS_BROKER_URL.replace(f"{host}:{port}", f"127.0.0.1:{wire.port}")
        with worker(EMBEDDED_BEAT="true", JOBS_BROKER_URL=url) as process:
            eventually(lambda: "tick" in keys(), within=30)
            wire.cut()
            time.sleep(4)
            wire.heal()
            ticks = keys().count("tick")
            eventually(lambda: keys().count("tick") >= ticks + 3, within=30)
            enqueue(note, "after")
            eventually(lambda: "after" in keys(), within=10)
            process.signal(signal.SIGTERM)
            assert process.wait() == 0


def test_a_worker_starts_before_its_broker_and_waits_for_it(jobs_broker: Connection) -> None:
    host, port = jobs_broker.hostname, jobs_broker.port
    enqueue(note, "waiting")
    with Wire(host, port) as wire:
        wire.cut()
        url = settings.JOBS_BROKER_URL.replace(f"{host}:{port}", f"127.0.0.1:{wire.port}")
        with worker(JOBS_BROKER_URL=url) as process:
            process.says("Cannot connect", within=30)
            wire.heal()
            eventually(lambda: "waiting" in keys(), within=30)


def test_a_worker_runs_where_nothing_can_be_written(jobs_broker: Connection, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        # Root may write anywhere: what a folder looks like afterwards says as much.
        tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    enqueue(note, "one")
    with worker(EMBEDDED_BEAT="true", HOME=str(tmp_path), TMPDIR=str(tmp_path)):
        eventually(lambda: "one" in keys() and "tick" in keys(), within=30)
        assert list(tmp_path.iterdir()) == []


def test_the_application_has_the_common_periodic_tasks_and_each_is_a_task(settings: Any) -> None:
    app.loader.import_default_modules()
    scheduled = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert {
        "effects.tasks.tick",
        "shared_lib.jobs.periodic.delete_published_events",
        "shared_lib.jobs.periodic.delete_settled_events",
        "shared_lib.jobs.periodic.delete_expired_idempotency_keys",
    } == scheduled
    assert scheduled <= set(app.tasks)
    assert all(entry["options"]["expires"] > 0 for entry in app.conf.beat_schedule.values())


def test_the_common_periodic_tasks_run() -> None:
    app.loader.import_default_modules()
    for name in app.conf.beat_schedule.values():
        app.tasks[name["task"]]()
    assert keys() == ["tick"]
