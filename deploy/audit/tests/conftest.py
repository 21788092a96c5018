"""Six databases with the real, migrated tables and a consistent shop in them, which each test may break.

They lie on the throwaway stack's PostgreSQL beside its own. Each holds a second copy of its rows, from which what a test changed
is written back; a database whose tables a test altered is made again from a template.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(HERE), str(ROOT / "deploy"), str(ROOT / "deploy" / "native")]

from synthesis import fill  # noqa: E402

from audit import SERVICES  # noqa: E402
from audit.cli import main  # noqa: E402
from shop import postgres, services, stack  # noqa: E402
from shop.envfile import prefix  # noqa: E402
from shop.layout import Layout, find_layout  # noqa: E402
from shop.report import Progress  # noqa: E402

ORDERS = 40


@dataclass
class Shop:
    """The databases. `change` writes as their owner, without triggers; `audit` reads as the auditor and gives what it says."""

    env: dict[str, str]
    folder: Path
    changed: set[str] = field(default_factory=set)
    altered: set[str] = field(default_factory=set)

    def name(self, service: str) -> str:
        return f"audit_{postgres.role_of(service)}"

    def url(self, service: str) -> str:
        return postgres.auditor_url(service, self.env).rpartition("/")[0] + f"/{self.name(service)}"

    @property
    def environ(self) -> dict[str, str]:
        return {f"AUDIT_{prefix(service)}_URL": self.url(service) for service in SERVICES}

    def change(self, service: str, statement: str) -> int:
        """How many rows it touched."""
        rows_only = statement.split(maxsplit=1)[0] in ("INSERT", "UPDATE", "DELETE", "WITH")
        (self.changed if rows_only else self.altered).add(service)
        with postgres.connect(self.env, self.name(service)) as connection:
            connection.execute("SET session_replication_role = replica")
            return connection.execute(statement).rowcount  # type: ignore[arg-type]

    def ask(self, service: str, statement: str) -> Any:
        with postgres.connect(self.env, self.name(service)) as connection:
            row = connection.execute(statement).fetchone()  # type: ignore[arg-type]
            assert row is not None
            return row[0]

    def audit(self, *arguments: str, environ: dict[str, str] | None = None) -> tuple[int, dict[str, Any]]:
        """Exit code and JSON report ({} where there is none). Nothing is waited for unless `arguments` say so."""
        file = self.folder / "report.json"
        file.unlink(missing_ok=True)
        given = ["--json", str(file), "--in-flight-limit", "60", "--wait", "0", *arguments]
        code = main(given, self.environ if environ is None else environ)
        return code, json.loads(file.read_text()) if file.exists() else {}

    def restore(self) -> None:
        for service in self.changed - self.altered:
            with postgres.connect(self.env, self.name(service)) as connection:
                connection.execute("SET session_replication_role = replica")
                connection.execute("CALL kept.restore()")
        with postgres.connect(self.env) as connection:
            for service in self.altered:
                connection.execute(f"DROP DATABASE IF EXISTS {self.name(service)} WITH (FORCE)")
                _copy(connection, service)
        self.changed.clear()
        self.altered.clear()


# Columns that are computed cannot be written.
_KEEP = """
    CREATE SCHEMA kept;
    DO $$
    DECLARE
        name text;
        columns text;
        body text := '';
    BEGIN
        FOR name, columns IN
            SELECT c.relname, string_agg(quote_ident(a.attname), ', ')
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
              AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
            GROUP BY c.relname
        LOOP
            EXECUTE format('CREATE TABLE kept.%I AS SELECT %s FROM public.%I', name, columns, name);
            body := body || format('DELETE FROM public.%1$I; INSERT INTO public.%1$I (%2$s) OVERRIDING SYSTEM VALUE'
                                   ' SELECT %2$s FROM kept.%1$I; ', name, columns);
        END LOOP;
        EXECUTE format('CREATE PROCEDURE kept.restore() LANGUAGE plpgsql AS %L', 'BEGIN ' || body || 'END');
    END $$;
"""


def _copy(connection: psycopg.Connection[Any], service: str) -> None:
    owner = postgres.role_of(service)
    name = f"audit_{owner}"
    connection.execute(f"CREATE DATABASE {name} TEMPLATE {name}_whole OWNER {owner}")
    connection.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
    connection.execute(f"GRANT CONNECT ON DATABASE {name} TO {postgres.AUDITOR}")


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    layout = find_layout()
    found = stack.find(layout, Progress())
    assert found is not None, "there are no settings: run this by `make test SERVICE=audit`"
    shop = Shop(found.env, tmp_path_factory.mktemp("audit"))
    base_ms = int((time.time() - 3600) * 1000) - ORDERS
    with postgres.connect(shop.env) as connection:
        _drop(connection, shop)

        def make(service: str) -> None:
            whole = f"{shop.name(service)}_whole"
            with postgres.connect(shop.env) as own:
                own.execute(f"CREATE DATABASE {whole} OWNER {postgres.role_of(service)}")
            _migrate(layout, shop.env, service, whole)
            with postgres.connect(shop.env, whole) as filled:
                fill(filled, service, orders=ORDERS, base_ms=base_ms)
                filled.execute(_KEEP)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(make, SERVICES))
        for service in SERVICES:
            _copy(connection, service)
        yield shop
        _drop(connection, shop)


def _drop(connection: psycopg.Connection[Any], shop: Shop) -> None:
    for service in SERVICES:
        for name in (shop.name(service), f"{shop.name(service)}_whole"):
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _migrate(layout: Layout, env: dict[str, str], service: str, database: str) -> None:
    given = services.environment(layout, env, service, services.discover(layout.root))
    url = given["DATABASE_URL"].rpartition("/")[0] + f"/{database}"
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0"],
        cwd=layout.root / service,
        env={**given, "DATABASE_URL": url, "HOME": str(layout.state)},
        check=True,
    )


@pytest.fixture
def shop(databases: Shop) -> Iterator[Shop]:
    yield databases
    databases.restore()


@pytest.fixture
def broken() -> Callable[[dict[str, Any]], set[str]]:
    """The names of the invariants that a report has findings for."""
    return lambda report: {each["name"] for each in report["invariants"] if each["wrong"]}
