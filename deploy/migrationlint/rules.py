"""The rules: those of django-migration-linter for PostgreSQL, more exact where it guesses, and two more for constraints."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.db.migrations import Migration
from django_migration_linter import MigrationLinter
from django_migration_linter.sql_analyser.analyser import analyse_sql_statements
from django_migration_linter.sql_analyser.base import Check, CheckMode, CheckType
from django_migration_linter.sql_analyser.postgresql import PostgresqlAnalyser

from migrationlint.allowed import Permit

#: What each rule wants instead. The release before still serves while a migration runs, and after it.
INSTEAD = {
    "NOT_NULL": "give the column a db_default or let it be null: the release before inserts rows without it",
    "DROP_COLUMN": "the release before still reads it: take it out of the code now and drop it a release later",
    "DROP_TABLE": "the release before still reads it: take it out of the code now and drop it a release later",
    "RENAME_COLUMN": "the release before knows the old name: add a column, fill both, and drop the old one a release later",
    "RENAME_TABLE": "the release before knows the old name: keep it (Meta.db_table)",
    "ALTER_COLUMN": "it may write the whole table again under a lock: add a column of the new type and fill it",
    "ADD_UNIQUE": "it stops every write while the index is made: make the index concurrently, then the constraint from it",
    "ADD_CHECK": "it reads the whole table under a lock: AddConstraintNotValid, and ValidateConstraint in the next migration",
    "ADD_FOREIGN_KEY": "it reads the whole table under a lock: add it NOT VALID, and validate it in the next migration",
    "CREATE_INDEX": "it stops every write while the index is made: AddIndexConcurrently, atomic = False",
    "DROP_INDEX": "it waits with a lock that stops every query: RemoveIndexConcurrently, atomic = False",
    "REINDEX": "it locks the table: REINDEX CONCURRENTLY, by hand",
    "RUNPYTHON_REVERSIBLE": "give it a function for the way back, or migrations.RunPython.noop",
    "RUNSQL_REVERSIBLE": "give it the statements for the way back, or migrations.RunSQL.noop",
}
#: Names of Python arguments and of models in data migrations are no matter of locks.
_NOT_OURS = ("RUNPYTHON_ARGS_NAMING_CONVENTION", "RUNPYTHON_MODEL_VARIABLE_NAME", "RUNPYTHON_MODEL_IMPORT")
_CREATED = re.compile(r'CREATE TABLE "(\w+)"')
_INDEXED = re.compile(r'CREATE (?P<unique>UNIQUE )?INDEX (?!CONCURRENTLY).*? ON "(?P<table>\w+)"')
_CONSTRAINED = re.compile(
    r'ALTER TABLE "(?P<table>\w+)" ADD CONSTRAINT "\w+" (?P<kind>UNIQUE|CHECK|FOREIGN KEY)(?! USING)'
)
_ADDED = re.compile(r'ALTER TABLE "(?P<table>\w+)" ADD COLUMN "(?P<column>\w+)" (?P<rest>.*)')
_SET = re.compile(r'ALTER TABLE "(?P<table>\w+)".* ALTER COLUMN "(?P<column>\w+)" SET NOT NULL')


def _on_old_tables(pattern: re.Pattern[str], statements: list[str]) -> Iterator[re.Match[str]]:
    """What `pattern` finds of tables that these statements do not make themselves: only those hold rows."""
    made = {found[1] for each in statements if (found := _CREATED.match(each))}
    found_all = (found for each in statements if (found := pattern.search(each)))
    return (found for found in found_all if found["table"] not in made)


def creates_index(statements: list[str], **_: Any) -> bool:
    return any(not found["unique"] for found in _on_old_tables(_INDEXED, statements))


def adds_unique(statements: list[str], **_: Any) -> bool:
    indexed = any(found["unique"] for found in _on_old_tables(_INDEXED, statements))
    return indexed or any(found["kind"] == "UNIQUE" for found in _on_old_tables(_CONSTRAINED, statements))


def adds_checked(kind: str) -> Any:
    def check(statements: list[str], **_: Any) -> bool:
        return any(
            found["kind"] == kind and "NOT VALID" not in found.string
            for found in _on_old_tables(_CONSTRAINED, statements)
        )

    return check


def demands_a_value(statements: list[str], **_: Any) -> bool:
    """A column that is not null and has no default in the database; Django's own default is gone after the migration."""
    if any(_on_old_tables(_SET, statements)):
        return True
    for added in _on_old_tables(_ADDED, statements):
        dropped = f'ALTER COLUMN "{added["column"]}" DROP DEFAULT'
        generated = "GENERATED ALWAYS" in added["rest"]
        if (
            re.search(r"(?<!IS )NOT NULL", added["rest"])
            and not generated
            and (
                not re.search(r"DEFAULT (?!NULL)", added["rest"])
                or any(dropped in each for each in statements)
            )
        ):
            return True
    return False


def _check(code: str, function: Any, what: str) -> Check:
    return Check(code, function, what, CheckMode.TRANSACTION, CheckType.ERROR)


class Analyser(PostgresqlAnalyser):
    """The library's checks. Those that look at a table or column as a whole are replaced: its own stop at the first index
    of a migration, and let a default of one column stand for another.
    """

    migration_checks = [
        *(each for each in PostgresqlAnalyser.migration_checks if not each.code.startswith("CREATE_INDEX")),
        _check("NOT_NULL", demands_a_value, "NOT NULL without a default"),
        _check("CREATE_INDEX", creates_index, "CREATE INDEX locks the table"),
        _check("ADD_UNIQUE", adds_unique, "UNIQUE of a whole table"),
        _check("ADD_CHECK", adds_checked("CHECK"), "CHECK of a whole table"),
        _check("ADD_FOREIGN_KEY", adds_checked("FOREIGN KEY"), "FOREIGN KEY of a whole table"),
    ]


class Linter(MigrationLinter):
    """The library's, for what it makes of statements; what is said and what counts is decided here."""

    def __init__(self) -> None:
        super().__init__(no_cache=True, no_output=True, analyser_string="postgresql")

    def broken(self, migration: Migration) -> list[Any]:
        """Every rule that `migration` breaks; warnings of the library count too."""
        statements = [each for each in self.get_sql(migration.app_label, migration.name) if each]
        errors, _, warnings = analyse_sql_statements(Analyser, statements)
        more, _, warned = self.analyse_data_migration(migration)
        found = [*errors, *warnings, *more, *warned]
        return [each for each in found if each.code not in _NOT_OURS]


def complaints(app: str, permits: Mapping[str, Permit]) -> Iterator[str]:
    """A sentence for each rule that a migration of `app` breaks without a permit, and for each permit too many."""
    linter = Linter()
    on_disk = linter.migration_loader.disk_migrations
    names = {f"{app}.{name}" for label, name in on_disk if label == app}
    for (label, name), migration in sorted(on_disk.items()):
        if label != app:
            continue
        full = f"{app}.{name}"
        broken = {each.code: each for each in linter.broken(migration)}
        allowed = permits[full].rules if full in permits else frozenset()
        for code in sorted(broken.keys() - allowed):
            where = ".".join(filter(None, (broken[code].table, broken[code].column)))
            yield f"{full}: {code}{f' ({where})' if where else ''}: {INSTEAD.get(code, broken[code].message)}."
        for code in sorted(allowed - broken.keys()):
            yield f"{full}: {code} is permitted and does not happen: take it out of allowed.toml."
    for full in sorted(permits):
        if full.startswith(f"{app}.") and full not in names:
            yield f"{full} is permitted and is not there: take it out of allowed.toml."
