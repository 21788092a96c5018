"""`docs/events.md` names a test for every promise: each of them has to be there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parents[1]


def _tests_in(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_promise_has_the_test_that_it_names() -> None:
    rows = re.findall(
        r"^\| (.+?) \| `([\w/.]+)::(\w+)` \|$", (ROOT / "docs/events.md").read_text(), re.MULTILINE
    )
    assert len(rows) > 40
    for promise, file, name in rows:
        path = ROOT / file if "/" in file else TESTS / file
        assert name in _tests_in(path), f"{promise}: {file} has no {name}"


def test_every_row_of_the_tables_names_a_test() -> None:
    text = (ROOT / "docs/events.md").read_text().partition("## RabbitMQ 3.10")[0]
    rows = [
        line
        for line in text.splitlines()
        if line.startswith("| ") and not line.startswith(("| promise", "| ---"))
    ]
    assert [line for line in rows if "::test_" not in line] == []
