"""The backend: everything is PostgreSQL's own but the connection, which is never made and whose answers are empty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

from django.db.backends.postgresql import base, operations, schema
from psycopg import sql

#: What the statements are made for: the oldest that the shop runs on.
_VERSION = 150000


class NothingThere:
    """The cursor of a database without a table."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def execute(self, statement: object, parameters: object = None) -> None:
        pass

    def fetchone(self) -> None:
        return None

    def fetchall(self) -> list[Any]:
        return []


class SchemaEditor(schema.DatabaseSchemaEditor):
    def __init__(self, connection: Any, collect_sql: bool = False, atomic: bool = True) -> None:
        # Statements are only collected: a transaction would want a connection.
        super().__init__(connection, collect_sql, atomic=False)


class DatabaseOperations(operations.DatabaseOperations):
    def compose_sql(self, statement: str, parameters: Any) -> str:
        return statement % tuple(sql.quote(each) for each in parameters) if parameters else statement


class DatabaseWrapper(base.DatabaseWrapper):
    SchemaEditorClass = SchemaEditor
    ops_class = DatabaseOperations
    pg_version = _VERSION

    def cursor(self) -> Any:
        return NothingThere()

    def ensure_connection(self) -> None:
        pass
