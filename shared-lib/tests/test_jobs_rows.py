from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone
from effects.models import Chore

from shared_lib.backoff import Backoff, pause_after
from shared_lib.jobs.rows import PAUSES, claim_due

pytestmark = pytest.mark.django_db(transaction=True)


def make_due() -> None:
    Chore.objects.exclude(due_at=None).update(due_at=timezone.now())


def test_due_rows_are_claimed_oldest_first_and_no_more_than_asked_for() -> None:
    now = timezone.now()
    for minutes in (1, 3, 2):
        Chore.objects.create(name=str(minutes), due_at=now - timedelta(minutes=minutes))
    Chore.objects.create(name="later", due_at=now + timedelta(minutes=1))
    Chore.objects.create(name="done", due_at=None)
    assert [chore.name for chore in claim_due(Chore.objects.all(), limit=2)] == ["3", "2"]
    assert [chore.name for chore in claim_due(Chore.objects.all(), limit=2)] == ["1"]
    assert claim_due(Chore.objects.all(), limit=2) == []


def test_a_claimed_row_comes_back_after_growing_pauses_and_is_given_up_after_the_last() -> None:
    Chore.objects.create(name="one")
    pauses = (10, 100)
    for attempt, pause in ((1, 10), (2, 100), (3, 100)):
        make_due()
        (chore,) = claim_due(Chore.objects.all(), limit=1, pauses=pauses)
        assert chore.attempts == attempt
        assert chore.due_at is not None
        assert timedelta(seconds=pause - 1) < chore.due_at - timezone.now() < timedelta(seconds=pause * 1.3)
    make_due()
    assert claim_due(Chore.objects.all(), limit=1, pauses=pauses) == []
    chore = Chore.objects.get()
    assert (chore.due_at, chore.attempts) == (None, 3)
    assert chore.gave_up_at is not None


def test_a_settled_row_is_not_claimed_again() -> None:
    Chore.objects.create(name="one")
    (chore,) = claim_due(Chore.objects.all(), limit=1)
    chore.settle()
    chore.save()
    make_due()
    assert claim_due(Chore.objects.all(), limit=1) == []


def test_one_row_can_be_claimed_by_the_hint_that_names_it() -> None:
    chores = [Chore.objects.create(name=str(number)) for number in range(3)]
    claimed = claim_due(Chore.objects.filter(pk=chores[1].pk), limit=1)
    assert claimed == [chores[1]]


def test_two_workers_never_claim_the_same_row() -> None:
    Chore.objects.bulk_create([Chore(name=str(number)) for number in range(200)])
    claimed: list[int] = []
    barrier = threading.Barrier(4)

    def work() -> None:
        try:
            barrier.wait(10)
            while rows := claim_due(Chore.objects.all(), limit=7):
                claimed.extend(row.pk for row in rows)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    # SKIP LOCKED may leave a round without rows while another holds the last ones; nothing is taken twice.
    claimed += [row.pk for row in claim_due(Chore.objects.all(), limit=200)]
    assert sorted(claimed) == sorted(Chore.objects.values_list("pk", flat=True))


def test_a_row_that_somebody_holds_is_left_out_without_waiting() -> None:
    Chore.objects.bulk_create([Chore(name="held"), Chore(name="free")])
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                Chore.objects.select_for_update().get(name="held")
                held.set()
                release.wait(10)
        finally:
            connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    started = time.monotonic()
    claimed = claim_due(Chore.objects.all(), limit=5)
    waited = time.monotonic() - started
    release.set()
    holder.join(10)
    assert [chore.name for chore in claimed] == ["free"]
    assert waited < 5


def test_pauses_have_some_chance_in_them_but_never_shrink_below_their_value() -> None:
    assert pause_after(len(PAUSES) + 1, PAUSES) is None
    seen = {pause_after(1, (10,)) for _ in range(20)}
    assert len(seen) > 1
    assert all(
        pause is not None and timedelta(seconds=10) <= pause <= timedelta(seconds=12) for pause in seen
    )


def test_a_loop_that_reconnects_pauses_longer_and_longer_up_to_a_limit() -> None:
    backoff = Backoff(first=1, most=4)
    pauses = [backoff.failed() for _ in range(6)]
    for pause, middle in zip(pauses, (1, 2, 4, 4, 4, 4), strict=True):
        assert middle * 0.8 <= pause <= middle * 1.2
    backoff.succeeded()
    assert backoff.failed() <= 1.2
