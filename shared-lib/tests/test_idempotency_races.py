"""One idempotency key at once, in threads with connections of their own."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from shared_lib.api.idempotency import Claim, IdempotencyInProgress, Replay, claim, complete, release
from shared_lib.idempotency.models import IdempotencyKey
from shared_lib.ids import uuid7
from shared_lib.testing.races import at_once

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 5


def kinds(results: list[Any]) -> Counter[str]:
    return Counter(type(result).__name__ for result in results)


def ask(key: str) -> Claim | Replay:
    return claim(
        user_id="u",
        route="orders",
        key=key,
        request_hash=b"h" * 32,
        lease=timedelta(minutes=1),
        resource_id=uuid7(),
    )


def test_one_key_claimed_by_many_at_once_has_one_owner() -> None:
    for number in range(ROUNDS):
        results = at_once(*[partial(ask, f"key-{number}")] * 8)

        assert kinds(results) == {"Claim": 1, "IdempotencyInProgress": 7}
    assert IdempotencyKey.objects.count() == ROUNDS


def test_a_key_whose_process_died_is_taken_over_by_one_of_many_retries() -> None:
    for number in range(ROUNDS):
        first = ask(f"key-{number}")
        assert isinstance(first, Claim)
        IdempotencyKey.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))

        results = at_once(*[partial(ask, f"key-{number}")] * 8)

        assert kinds(results) == {"Claim": 1, "IdempotencyInProgress": 7}
        [resumed] = [result for result in results if isinstance(result, Claim)]
        assert (resumed.resumed, resumed.resource_id) == (True, first.resource_id)


def test_retries_at_the_moment_of_the_answer_get_the_answer_or_a_conflict() -> None:
    for number in range(ROUNDS):
        first = ask(f"key-{number}")
        assert isinstance(first, Claim)

        done, *results = at_once(
            partial(complete, first, status=201, body=b"made"), *[partial(ask, f"key-{number}")] * 7
        )

        assert done is None
        assert set(kinds(results)) <= {"Replay", "IdempotencyInProgress"}
        assert ask(f"key-{number}") == Replay(201, b"made")


def test_who_lost_the_key_to_a_retry_changes_nothing_any_more() -> None:
    lost = ask("key")
    assert isinstance(lost, Claim)
    IdempotencyKey.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    holder = ask("key")
    assert isinstance(holder, Claim)

    release(lost)
    with pytest.raises(IdempotencyInProgress):
        complete(lost, status=201, body=b"of the one that was thought dead")

    complete(holder, status=201, body=b"made")
    release(lost)
    assert ask("key") == Replay(201, b"made")
