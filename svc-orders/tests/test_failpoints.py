"""Every commit and every call of this service lies between two failpoints, so that tests can end the process there."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from shared_lib.failpoints import NAMES

SERVICES = Path(__file__).parents[1] / "orders" / "services"
MODULES = sorted(SERVICES.glob("*.py"))


@dataclass
class _Finder(ast.NodeVisitor):
    """Walks one module and notes commits and calls that no `around` surrounds, and all points that there are."""

    around: int = 0
    atomic: int = 0
    bare: list[str] = field(default_factory=list)
    points: list[str] = field(default_factory=list)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        outer = self.around, self.atomic
        self.around = self.atomic = 0  # a function may be called from anywhere
        for decorator in node.decorator_list:
            self._enter(decorator)
        for statement in node.body:
            self.visit(statement)
        self.around, self.atomic = outer

    def visit_With(self, node: ast.With) -> None:
        outer = self.around, self.atomic
        for item in node.items:
            self._enter(item.context_expr)
        for statement in node.body:
            self.visit(statement)
        self.around, self.atomic = outer

    def visit_Call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func)
        called = name.removeprefix("clients.")
        if (name.startswith("clients.") and called.islower()) or name == "claim_refunds":
            self._need_around(node, name)
        if name == "failpoint":
            self.points.append(_text(node))
        self.generic_visit(node)

    def _enter(self, expression: ast.expr) -> None:
        name = ast.unparse(expression.func if isinstance(expression, ast.Call) else expression)
        if name == "around":
            assert isinstance(expression, ast.Call)
            assert not self.atomic, f"line {expression.lineno}: around() inside a transaction is too late"
            self.around += 1
            self.points += [f"{_text(expression)}.{side}" for side in ("before", "after")]
        elif name == "transaction.atomic":
            if not self.atomic:
                self._need_around(expression, name)
            self.atomic += 1
        else:
            self.visit(expression)

    def _need_around(self, node: ast.expr, name: str) -> None:
        if not self.around:
            self.bare.append(f"line {node.lineno}: {name}")


def _text(node: ast.Call) -> str:
    [name] = node.args
    assert isinstance(name, ast.Constant), "a failpoint is named by a literal"
    assert isinstance(name.value, str)
    return name.value


def _find(source: str) -> _Finder:
    finder = _Finder()
    finder.visit(ast.parse(source))
    return finder


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_every_commit_and_every_call_lies_between_failpoints(module: Path):
    assert _find(module.read_text()).bare == []


def test_every_point_is_declared_once_and_stands_in_one_place():
    found = Counter(point for module in MODULES for point in _find(module.read_text()).points)
    assert found == Counter(NAMES["svc-orders"])
    assert max(found.values()) == 1


def _steps() -> Iterator[tuple[str, list[str]]]:
    yield "def f():\n    with transaction.atomic():\n        pass", ["line 2: transaction.atomic"]
    yield "@transaction.atomic\ndef f():\n    pass", ["line 1: transaction.atomic"]
    yield "def f():\n    return clients.get_cart(1)", ["line 2: clients.get_cart"]
    yield (
        "def f():\n    with around('a'):\n        def g():\n            clients.release(1)",
        ["line 4: clients.release"],
    )
    yield "def f():\n    with around('a'), transaction.atomic():\n        pass", []
    yield "@around('a')\n@transaction.atomic\ndef f():\n    pass", []
    yield "def f():\n    raise clients.PaymentRefused(1)", []


@pytest.mark.parametrize(("source", "bare"), list(_steps()))
def test_what_lacks_a_failpoint_is_found(source: str, bare: list[str]):
    assert _find(source).bare == bare


def test_a_failpoint_inside_the_transaction_that_it_should_surround_is_found():
    with pytest.raises(AssertionError, match="too late"):
        _find("def f():\n    with transaction.atomic(), around('a'):\n        pass")
