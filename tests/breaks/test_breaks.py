"""The breaks still fit the tree, and a break that is not seen is reported. `make test-breaks` tries them all."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from breaks.table import ROOT, BadTable, Break, breaks
from breaks.trial import Wrong, apply, attempt, copy_tree

BREAKS = breaks()
DEMANDED = {
    "publish-before-commit",
    "ack-before-commit",
    "no-lock-on-stock",
    "no-inbox-check",
    "webhook-taken-twice",
    "key-checked-before-insert",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the patches touch, as it lies in the tree."""
    copied = tmp_path_factory.mktemp("tree")
    for one in BREAKS:
        for name in files_of(one.patch):
            (copied / name).parent.mkdir(parents=True, exist_ok=True)
            (copied / name).write_bytes((ROOT / name).read_bytes())
    return copied


def files_of(patch: Path) -> list[str]:
    return [line[6:].strip() for line in patch.read_text().splitlines() if line.startswith("+++ b/")]


def test_the_breaks_that_were_asked_for_are_there() -> None:
    assert {one.name for one in BREAKS} >= DEMANDED


@pytest.mark.parametrize("one", BREAKS, ids=lambda one: one.name)
def test_a_patch_applies_to_the_code_and_to_no_test(one: Break, tree: Path) -> None:
    apply(one.patch, tree, "--check")
    names = files_of(one.patch)
    assert names
    assert not [name for name in names if "tests" in Path(name).parts]


@pytest.mark.parametrize("one", BREAKS, ids=lambda one: one.name)
def test_the_named_test_has_the_named_assertion(one: Break) -> None:
    path, _, name = one.test.partition("::")
    source = (ROOT / one.suite / path).read_text()
    functions = [
        ast.get_source_segment(source, node) or ""
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name == name.partition("[")[0]
    ]
    assert [each for each in functions if one.assertion in map(str.strip, each.splitlines())], (
        f"{one.test} has no line {one.assertion}"
    )


# The trial itself, on a tree in which `limit()` protects something.

SOURCE = "def limit():\n    return 3\n"
PATCH = "--- a/box/code.py\n+++ b/box/code.py\n@@ -1,2 +1,2 @@\n def limit():\n-    return 3\n+    return 4\n"
TESTS = """
from code import limit

def test_sees_it():
    assert limit() == 3

def test_sees_nothing():
    assert limit()

def test_sees_it_elsewhere():
    assert limit() != 4
    assert limit() == 3

def test_fails_always():
    assert limit() == 5
"""


@pytest.fixture
def box(tmp_path: Path) -> Path:
    folder = tmp_path / "tree" / "box"
    folder.mkdir(parents=True)
    (folder / "code.py").write_text(SOURCE)
    (folder / "test_code.py").write_text(TESTS)
    # Python has a module of this name too: the one here comes first. The option belongs to a plugin that is not here.
    (folder / "conftest.py").write_text(
        "import pathlib, sys\nsys.path.insert(0, str(pathlib.Path(__file__).parent))\nsys.modules.pop('code', None)\n"
    )
    (folder / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "more.patch").write_text(PATCH)
    return tmp_path


def trouble(box: Path, test: str, assertion: str = "assert limit() == 3") -> str:
    one = Break("more", "", "box", f"test_code.py::{test}", assertion, box / "more.patch")
    verdict = attempt(
        one,
        box / "tree",
        Path(sys.executable),
        {"PATH": "/usr/bin:/bin", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    assert (box / "tree" / "box" / "code.py").read_text() == SOURCE
    return verdict.trouble


def test_a_break_that_its_test_sees_is_good(box: Path) -> None:
    assert trouble(box, "test_sees_it") == ""


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("test_sees_nothing", "it does not see the mistake"),
        ("test_sees_it_elsewhere", "the test fails, but not at `assert limit() == 3`"),
        ("test_that_is_gone", "did not run"),
    ],
)
def test_a_break_that_is_not_seen_there_is_reported(box: Path, test: str, said: str) -> None:
    assert said in trouble(box, test)


def test_a_test_that_fails_without_the_patch_is_reported(box: Path) -> None:
    assert "it fails without the patch too" in trouble(box, "test_fails_always", "assert limit() == 5")


def test_a_patch_that_fits_no_more_is_reported(box: Path) -> None:
    (box / "more.patch").write_text(PATCH.replace("return 3", "return 30"))

    with pytest.raises(Wrong, match="does not apply any more"):
        apply(box / "more.patch", box / "tree")


def test_a_copy_holds_what_is_not_committed_yet_and_nothing_that_git_ignores(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "kept").mkdir(parents=True)
    for name in (".gitignore", "kept/new.py", "kept/old.py", "secret.log"):
        (root / name).write_text("*.log\n")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    subprocess.run(["git", "-C", str(root), "add", "kept/old.py"], check=True)
    (root / "kept" / "old.py").write_text("changed")

    copy_tree(root, tmp_path / "copy")

    copied = {
        str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*") if path.is_file()
    }
    assert copied == {".gitignore", "kept/new.py", "kept/old.py"}
    assert (tmp_path / "copy" / "kept" / "old.py").read_text() == "changed"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[[break]]\npatch = "one"\n', "a break has patch, what, suite, test and assertion"),
        ("", "only a file or only in the table: one"),
        (
            '[[break]]\npatch = "one"\nwhat = ""\nsuite = ""\ntest = ""\nassertion = ""\n' * 2,
            "twice in the table",
        ),
    ],
)
def test_a_table_that_does_not_fit_its_patches_is_refused(tmp_path: Path, table: str, said: str) -> None:
    (tmp_path / "breaks.toml").write_text(table)
    (tmp_path / "one.patch").write_text("")

    with pytest.raises(BadTable, match=said):
        breaks(tmp_path)
