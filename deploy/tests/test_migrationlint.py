"""`make lint` refuses migrations that the release before, or the rows of a large table, would not stand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from migrationlint.allowed import BadList, permits

ROOT = Path(__file__).resolve().parents[2]
HEAD = """
from django.contrib.postgres.operations import (
    AddConstraintNotValid, AddIndexConcurrently, RemoveIndexConcurrently, ValidateConstraint
)
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("cart", "{last}")]
    operations = [
        {operations}
    ]
"""
#: What is refused, all of it in one migration of svc-cart, and by which rule.
REFUSED = {
    "NOT_NULL": 'migrations.AddField("cart", "note", models.TextField(default=""))',
    "DROP_COLUMN": 'migrations.RemoveField("coupon", "starts_at")',
    "RENAME_COLUMN": 'migrations.RenameField("coupon", "ends_at", "over_at")',
    "RENAME_TABLE": 'migrations.RenameModel("CouponUse", "Use")',
    "DROP_TABLE": 'migrations.DeleteModel("WishlistItem")',
    "ALTER_COLUMN": 'migrations.AlterField("cart", "version", models.TextField())',
    "CREATE_INDEX": 'migrations.AddIndex("cart", models.Index(fields=["version"], name="by_version"))',
    "ADD_CHECK": 'migrations.AddConstraint("cart", models.CheckConstraint(condition=Q(version__gt=0), name="positive"))',
    "ADD_UNIQUE": 'migrations.AddConstraint("cart", models.UniqueConstraint(fields=["version"], name="once"))',
}
#: A default of another column, and an index of a table that is made here, hide nothing.
HIDDEN = {
    "NOT_NULL": (
        'migrations.AddField("cart", "one", models.TextField(default="")),'
        'migrations.AddField("cart", "two", models.TextField(db_default="")),'
    ),
    "CREATE_INDEX": (
        'migrations.CreateModel("Box", [("id", models.BigAutoField(primary_key=True)), ("size", models.IntegerField())]),'
        'migrations.AddIndex("box", models.Index(fields=["size"], name="by_size")),'
        'migrations.AddIndex("cart", models.Index(fields=["version"], name="by_version")),'
    ),
}
FINE = """
        migrations.AddField("cart", "note", models.TextField(null=True)),
        migrations.AddField("cart", "colour", models.TextField(db_default="")),
        migrations.CreateModel("Box", [("id", models.BigAutoField(primary_key=True)), ("size", models.IntegerField())]),
        migrations.AddIndex("box", models.Index(fields=["size"], name="by_size")),
        AddIndexConcurrently("cart", models.Index(fields=["version"], name="by_version")),
        RemoveIndexConcurrently("cart", "by_version"),
        AddConstraintNotValid("cart", models.CheckConstraint(condition=Q(version__gt=0), name="positive")),
        ValidateConstraint("cart", "positive"),
"""


class Service:
    """A copy of svc-cart, and of the linter with a list of its own."""

    def __init__(self, folder: Path) -> None:
        ignored = shutil.ignore_patterns("__pycache__", "tests")
        self.folder = Path(shutil.copytree(ROOT / "svc-cart", folder / "svc-cart", ignore=ignored))
        self.deploy = folder / "deploy"
        for name in ("migrationlint", "apidocs"):
            shutil.copytree(ROOT / "deploy" / name, self.deploy / name, ignore=ignored)
        self.migrations = self.folder / "cart" / "migrations"
        self.last = max(path.stem for path in self.migrations.glob("0*.py"))

    def lint(self, operations: str, permitted: str = "") -> tuple[int, list[str]]:
        (self.migrations / "9000_next.py").write_text(HEAD.format(last=self.last, operations=operations))
        (self.deploy / "migrationlint" / "allowed.toml").write_text(permitted)
        done = subprocess.run(
            [sys.executable, "-m", "migrationlint"],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": f"{self.folder}:{self.deploy}",
                "PYTHONPYCACHEPREFIX": os.environ.get("PYTHONPYCACHEPREFIX", ""),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.stderr, done.stderr
        return done.returncode, done.stdout.splitlines()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return Service(tmp_path_factory.mktemp("migrations"))


def test_what_the_release_before_or_a_large_table_would_not_stand_is_refused(service: Service) -> None:
    code, lines = service.lint(",".join(REFUSED.values()))

    assert code == 1
    assert {line.split(": ")[1].partition(" ")[0] for line in lines} == set(REFUSED)


@pytest.mark.parametrize("rule", HIDDEN)
def test_one_operation_hides_no_other(service: Service, rule: str) -> None:
    code, (line,) = service.lint(HIDDEN[rule])
    assert code == 1
    assert line.startswith(f"cart.9000_next: {rule}: ")


def test_what_only_adds_and_locks_nothing_for_long_is_fine_and_needs_no_permit(service: Service) -> None:
    permit = '["cart.{}"]\nrules = ["DROP_COLUMN"]\nreason = "Nothing has read it since 1.1.0."\n'

    assert service.lint(FINE, permit.format("9000_next") + permit.format("8000_gone")) == (
        1,
        [
            "cart.9000_next: DROP_COLUMN is permitted and does not happen: take it out of allowed.toml.",
            "cart.8000_gone is permitted and is not there: take it out of allowed.toml.",
        ],
    )


def test_a_permit_lets_one_rule_be_broken(service: Service) -> None:
    permit = '["cart.9000_next"]\nrules = ["DROP_COLUMN"]\nreason = "Nothing has read it since 1.1.0."\n'

    code, (line,) = service.lint(",".join((REFUSED["DROP_COLUMN"], REFUSED["CREATE_INDEX"])), permit)
    assert code == 1
    assert line.startswith("cart.9000_next: CREATE_INDEX: it stops every write")


def test_a_permit_needs_a_reason(tmp_path: Path) -> None:
    file = tmp_path / "allowed.toml"
    file.write_text('["cart.9000_next"]\nrules = ["DROP_COLUMN"]\nreason = " "\n')

    with pytest.raises(BadList, match=r"cart\.9000_next needs rules and a reason"):
        permits(file)
