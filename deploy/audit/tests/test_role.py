"""The role of the audit reads everything and can write nothing."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from audit import SERVICES
from shop import postgres

WRITES = (
    "INSERT INTO outbox_event (id, type, subject, body, created_at) VALUES (gen_random_uuid(), 't', 's', '', now())",
    "UPDATE outbox_event SET published_at = NULL",
    "DELETE FROM outbox_event",
    "TRUNCATE outbox_event",
    "DROP TABLE outbox_event",
    "ALTER TABLE outbox_event ADD COLUMN more int",
    "CREATE TABLE mine (id int)",
    "CREATE TEMP TABLE mine (id int)",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "SELECT nextval(pg_get_serial_sequence('idempotency_idempotencykey', 'id'))",
    "SELECT * FROM outbox_event FOR UPDATE",
    "COPY outbox_event TO PROGRAM 'cat'",
    "GRANT pg_write_all_data TO auditor",
    "ALTER ROLE auditor CREATEDB",
    "SET ROLE svc_orders",
    "SET session_replication_role = replica",
    "SELECT pg_read_file('/etc/passwd')",
)


@pytest.mark.parametrize("statement", WRITES)
def test_the_auditor_cannot_do_it_even_in_a_transaction_that_may_write(shop, statement):
    """`default_transaction_read_only` is a seat belt that anybody can open: the missing rights are what holds."""
    with psycopg.connect(shop.url("svc-orders"), autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(statement)  # type: ignore[arg-type]


@pytest.mark.parametrize("service", SERVICES)
def test_the_auditor_reads_every_table_and_begins_read_only(shop, service):
    with psycopg.connect(shop.url(service), autocommit=True) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        assert len(tables) > 5
        for (table,) in tables:
            connection.execute(f'SELECT * FROM "{table}" LIMIT 1')
        assert connection.execute("SHOW transaction_read_only").fetchone() == ("on",)
        with pytest.raises(errors.ReadOnlySqlTransaction):
            connection.execute("DELETE FROM outbox_event")
        writable = connection.execute(
            "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'S') AND relnamespace = 'public'::regnamespace"
            " AND (CASE relkind WHEN 'r' THEN has_table_privilege(oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')"
            " ELSE has_sequence_privilege(oid, 'USAGE, UPDATE') END)"
        ).fetchone()
        assert writable == (0,)


def test_the_auditor_reads_what_a_later_migration_adds(shop):
    shop.altered.add("svc-cart")
    with postgres.connect(shop.env, shop.name("svc-cart")) as connection:
        connection.execute("SET ROLE svc_cart")
        connection.execute("CREATE SCHEMA later")
        connection.execute("CREATE TABLE later.added (id int)")
    with psycopg.connect(shop.url("svc-cart"), autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM later.added").fetchone() == (0,)


def test_no_service_can_become_the_auditor(shop):
    with postgres.connect(shop.env) as connection:
        rows = connection.execute(
            "SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member JOIN pg_roles g ON g.oid = m.roleid"
            " WHERE g.rolname = %s",
            (postgres.AUDITOR,),
        ).fetchall()
        attributes = connection.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = %s",
            (postgres.AUDITOR,),
        ).fetchone()
    assert rows == []
    assert attributes == (False,) * 5
