"""An idle connection is looked at before it is used again: without a question where it is well, never used where it has ended."""

from __future__ import annotations

import copy
import select
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from shared_lib.postgresql.base import DatabaseWrapper, has_ended

pytestmark = pytest.mark.django_db(transaction=True)

POOL = {"min_size": 2, "max_size": 2, "timeout": 5}


@pytest.fixture
def pooled(request: pytest.FixtureRequest) -> Iterator[DatabaseWrapper]:
    """A second way to the tests' database: through a pool, or kept as it would be without one."""
    settings = copy.deepcopy(connection.settings_dict)
    if getattr(request, "param", True):
        settings["OPTIONS"]["pool"] = POOL
    else:
        settings["CONN_HEALTH_CHECKS"], settings["CONN_MAX_AGE"] = True, 60
    wrapper = DatabaseWrapper(settings, alias="second")
    if (pool := wrapper.pool) is not None:
        # Else one of its connections might be made while a test counts them.
        pool.open(wait=True, timeout=10)
    yield wrapper
    wrapper.close()
    wrapper.close_pool()


either = pytest.mark.parametrize("pooled", [True, False], indirect=True, ids=["pool", "kept"])


def ask(wrapper: DatabaseWrapper, statement: str, *values: object) -> Any:
    with wrapper.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()[0]


def next_request(wrapper: DatabaseWrapper) -> None:
    """What Django does between two requests."""
    wrapper.close_if_unusable_or_obsolete()


def heard() -> dict[int, Any]:
    """When each session of this database, but the asking one, last heard something, by its process."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid, state_change FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return dict(cursor.fetchall())


@either
def test_a_connection_that_is_well_is_used_again_and_the_server_hears_nothing(
    pooled: DatabaseWrapper,
) -> None:
    for _ in range(4):
        ask(pooled, "SELECT 1")
        next_request(pooled)
    before = heard()
    for _ in range(4):
        with pooled.cursor():
            assert pooled.connection.info.backend_pid in before
        next_request(pooled)
    assert heard() == before


@either
def test_connections_that_the_server_has_ended_fail_no_statement(pooled: DatabaseWrapper) -> None:
    for _ in range(4):
        ask(pooled, "SELECT 1")
        next_request(pooled)
    ended = ask(
        connection,  # type: ignore[arg-type]
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    assert ended >= (2 if pooled.pool else 1)
    assert [ask(pooled, "SELECT %s::int", number) for number in range(4)] == [0, 1, 2, 3]


@either
def test_a_word_of_the_server_that_is_no_farewell_costs_no_connection(pooled: DatabaseWrapper) -> None:
    pid = ask(pooled, "SELECT pg_backend_pid()")
    with pooled.cursor() as cursor:
        cursor.execute("LISTEN news")
    with connection.cursor() as cursor:
        cursor.execute("NOTIFY news")
    assert select.select([pooled.connection], [], [], 10)[0], "there is something to read"
    assert not has_ended(pooled.connection)
    assert ask(pooled, "SELECT pg_backend_pid()") == pid


def test_a_connection_that_was_closed_here_has_ended(pooled: DatabaseWrapper) -> None:
    pooled.ensure_connection()
    pooled.connection.close()
    assert has_ended(pooled.connection)
