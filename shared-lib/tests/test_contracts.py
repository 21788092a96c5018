"""Frozen contracts: what may change, and what a release would break. The repositories are real, so is the command."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from shared_lib.contracts import frozen
from shared_lib.contracts.__main__ import main
from shared_lib.contracts.events import CONTRACTS
from shared_lib.contracts.internal.endpoints import ENDPOINTS
from shared_lib.contracts.subscriptions import SUBSCRIPTIONS

SOURCE = Path(frozen.__file__).parents[1]


class Tree:
    """A repository with a copy of the contracts, released as v1.0.0."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.contracts = root / "src" / "shared_lib" / "contracts"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(SOURCE / "contracts", self.contracts, ignore=ignored)
        for name in ("__init__.py", "money.py"):
            shutil.copy(SOURCE / name, self.contracts.parent / name)
        self.git("init", "-q", "-b", "main")
        self.git("add", ".")
        self.commit("release")
        self.git("tag", "v1.0.0")

    def git(self, *arguments: str) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *arguments], cwd=self.root, check=True, capture_output=True)

    def commit(self, message: str) -> None:
        self.git("commit", "-q", "--allow-empty", "-a", "-m", message)

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.contracts / path
        text = file.read_text()
        assert text.count(old) == 1, f"{path} has {old!r} {text.count(old)} times"
        file.write_text(text.replace(old, new))

    def run(self, *arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "shared_lib.contracts", *arguments],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(self.root / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return Tree(tmp_path_factory.mktemp("contracts") / "repository")


@pytest.fixture
def tree(released: Tree) -> Tree:
    released.git("checkout", "-q", "-f", "main")
    released.git("clean", "-q", "-f", "-d")
    released.git("reset", "-q", "--hard", "v1.0.0")
    return released


def test_the_code_and_the_frozen_schemas_agree(capsys: pytest.CaptureFixture[str]) -> None:
    """In this repository, against its own last release."""
    assert main(["check"]) == 0, capsys.readouterr().out


def test_every_revision_may_take_the_place_of_the_one_before() -> None:
    tree, now = frozen.Frozen.of_folder(), frozen.current()
    for name, schemas in tree.revisions.items():
        for one, other in itertools.pairwise(schemas):
            assert frozen.differences(one, other, now[name].direction) == []


def test_every_event_and_every_payload_is_frozen_in_canonical_form() -> None:
    tree = frozen.Frozen.of_folder()
    assert {f"events/{name}" for name in CONTRACTS} <= set(tree.revisions)
    for path, text in tree.files.items():
        assert text == frozen.text_of(json.loads(text)), path
        assert "$ref" not in text, path


def test_what_was_released_fits_itself(tree: Tree) -> None:
    assert tree.run("check") == (0, "The contracts fit release v1.0.0.\n")


STOCK = "events/catalog.py"
AVAILABLE = "    product_id: UUID\n    available: int\n\n\nclass StockLow"
STOCK_READERS = "Hits svc-cart, svc-catalog."

EVENT_BREAKS = {
    "a removed field": (
        (STOCK, AVAILABLE, "    product_id: UUID\n\n\nclass StockLow"),
        f"stock.changed.v1, available: was removed. {STOCK_READERS}",
    ),
    "a removed optional field": (
        (STOCK, "    variants: list[ProductVariant]\n    thumbnail: str | None = None", "    variants: list[ProductVariant]"),
        "product.updated.v1, thumbnail: was removed. Hits svc-cart, svc-catalog.",
    ),
    "a removed field of a field": (
        ("events/orders.py", "    quantity: int\n", ""),
        "order.confirmed.v1, lines[].quantity: was removed. Hits svc-cart, svc-catalog, svc-notifications.",
    ),
    "a changed type": (
        (STOCK, AVAILABLE, AVAILABLE.replace("available: int", "available: str")),
        f"stock.changed.v1, available: changed its type from integer to string. {STOCK_READERS}",
    ),
    "a narrowed type": (
        (STOCK, AVAILABLE, AVAILABLE.replace("int", "Annotated[int, msgspec.Meta(ge=0)]")),
        f"stock.changed.v1, available: was narrowed: minimum None became 0. {STOCK_READERS}",
    ),
    "a nullable field that is no longer": (
        (STOCK,
         "    variants: list[ProductVariant]\n    thumbnail: str | None = None",
         '    variants: list[ProductVariant]\n    thumbnail: str = ""'),
        "product.published.v1, thumbnail: was narrowed: it may no longer be null. Hits svc-cart, svc-catalog.",
    ),
    "a field that may suddenly be null": (
        (STOCK, AVAILABLE, AVAILABLE.replace("available: int", "available: int | None")),
        f"stock.changed.v1, available: was widened: it may now be null. {STOCK_READERS}",
    ),
    "an optional field made required": (
        (STOCK, "    price: Money\n    attributes: dict[str, str] = {}", "    price: Money\n    attributes: dict[str, str]"),
        "product.updated.v1, variants[].attributes: was optional and is required now. Hits svc-cart, svc-catalog.",
    ),
    "a required field made optional": (
        (STOCK, AVAILABLE, AVAILABLE.replace("available: int", "available: int = 0")),
        f"stock.changed.v1, available: was required and is optional now. {STOCK_READERS}",
    ),
    "a new required field": (
        (STOCK, AVAILABLE, AVAILABLE.replace("    available: int", "    available: int\n    reserved: int")),
        f"stock.changed.v1, reserved: is new and required. {STOCK_READERS}",
    ),
    "another meaning of absence": (
        ("events/orders.py", "was_confirmed: bool = False", "was_confirmed: bool = True"),
        "order.cancelled.v1, was_confirmed: changed what its absence means, from False to True.",
    ),
    "an event that is gone": (
        (STOCK, '"stock.changed.v1"', '"stock.changed.v2"'),
        f"stock.changed.v1: was removed. {STOCK_READERS}",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "complaint"), EVENT_BREAKS.values(), ids=EVENT_BREAKS)
def test_a_break_of_an_event_names_event_field_and_consumers(
    tree: Tree, change: tuple[str, str, str], complaint: str
) -> None:
    tree.edit(STOCK, "import msgspec\n", "import msgspec\nfrom typing import Annotated, Literal\n")
    tree.edit(*change)
    code, text = tree.run("check")
    assert code == 1
    assert complaint in text
    code, text = tree.run("freeze")
    assert code == 1
    assert complaint in text


def test_a_value_that_an_event_s_enum_loses_or_gains_is_a_break(tree: Tree) -> None:
    tree.edit("events/orders.py", "from typing import ClassVar", "from typing import ClassVar, Literal")
    tree.edit(
        "events/orders.py",
        "    reason: str\n",
        '    reason: str\n    by: Literal["buyer", "staff"] | None = None\n',
    )
    assert tree.run("freeze")[0] == 0
    tree.git("add", ".")
    tree.commit("a field more")
    tree.git("tag", "v1.1.0")
    tree.edit("events/orders.py", '["buyer", "staff"]', '["buyer"]')
    code, text = tree.run("check")
    tree.git("tag", "-d", "v1.1.0")
    assert code == 1
    assert "order.cancelled.v1, by: lost the value 'staff'. Hits" in text


INTERNAL_BREAKS = {
    "a new required field of a request": (
        ("internal/catalog.py",
         "    order_id: UUID\n    lines: list[ReservationLineRequest]",
         "    order_id: UUID\n    user_id: UUID\n    lines: list[ReservationLineRequest]"),
        "svc-catalog POST reservations (request), user_id: is new and required. Hits svc-orders.",
    ),
    "an enum value that a request may no longer have": (
        ("internal/accounts.py", '"verify_email", "reset_password"', '"verify_email"'),
        "svc-accounts POST one-time-links (request), purpose: lost the value 'reset_password'. Hits svc-notifications.",
    ),
    "a field that an answer lost": (
        ("internal/accounts.py", "    language: str\n", ""),
        "svc-accounts GET users/{user_id} (answer), language: was removed. Hits svc-notifications, svc-orders.",
    ),
    "a field that an answer need not have any more": (
        ("internal/payments.py",
         "    amount: Money\n    refunded: Money\n    provider: str\n",
         "    amount: Money\n    provider: str\n    refunded: Money | None = None\n"),
        "svc-payments POST payments (answer), refunded: was required and is optional now. Hits svc-orders.",
    ),
    "an enum value that callers do not know": (
        ("internal/payments.py", '"pending", "succeeded", "failed"', '"pending", "succeeded", "failed", "stuck"'),
        "(answer), status: gained the value 'stuck'. Hits svc-orders.",
    ),
    "what a problem tells": (
        ("internal/catalog.py", "    requested: int\n    available: int", "    requested: int"),
        "svc-catalog POST reservations (problem), available: was removed. Hits svc-orders.",
    ),
    "a caller that is locked out": (
        ("internal/endpoints.py", '"variants", ("svc-cart", "svc-orders")', '"variants", ("svc-cart",)'),
        "svc-catalog GET variants: may no longer be called. Hits svc-orders.",
    ),
    "a new field of what refuses unknown ones": (
        ("../money.py", "    amount: int\n    currency: str\n", '    amount: int\n    currency: str\n    note: str = ""\n'),
        "svc-payments GET payments/{payment_id} (answer), amount.note: is new where unknown fields are refused.",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "complaint"), INTERNAL_BREAKS.values(), ids=INTERNAL_BREAKS)
def test_a_break_of_an_internal_call_names_endpoint_field_and_callers(
    tree: Tree, change: tuple[str, str, str], complaint: str
) -> None:
    tree.edit(*change)
    code, text = tree.run("check")
    assert code == 1
    assert complaint in text


HARMLESS = {
    "an optional field more in a request": (
        "internal/payments.py",
        "    amount: Money\n    provider: str | None = None",
        "    amount: Money\n    note: str | None = None\n    provider: str | None = None",
    ),
    "a request that asks for less": (
        "internal/payments.py", "    amount: Money\n    reason: str", '    amount: Money\n    reason: str = ""',
    ),
    "an enum value more in a request": (
        "internal/accounts.py", '"verify_email", "reset_password"', '"verify_email", "reset_password", "sign_in"',
    ),
    "an enum value less in an answer": (
        "internal/payments.py", '"pending", "succeeded", "failed"', '"pending", "succeeded"',
    ),
    "a field more in an answer": (
        "internal/accounts.py", "    is_active: bool", "    is_active: bool\n    is_seller: bool",
    ),
    "an optional field more in an event": (
        STOCK, AVAILABLE, AVAILABLE.replace("    available: int", "    available: int\n    reserved: int = 0"),
    ),
    "another sentence about an event": (STOCK, "Published once an order.", "Published once for each order."),
}  # fmt: skip


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_what_breaks_nobody_may_be_frozen_as_a_file_more(tree: Tree, change: tuple[str, str, str]) -> None:
    before = frozen.Frozen.of_folder(tree.contracts / "schemas").files
    tree.edit(*change)
    code, text = tree.run("freeze")
    assert code == 0, text
    after = frozen.Frozen.of_folder(tree.contracts / "schemas").files
    assert {path: after[path] for path in before} == before
    prose_only = change == HARMLESS["another sentence about an event"]
    assert all(path.endswith(".2.json") for path in after.keys() - before.keys())
    assert (after.keys() == before.keys()) == prose_only
    assert tree.run("check") == (0, "The contracts fit release v1.0.0.\n")


def test_what_is_not_frozen_yet_is_named(tree: Tree) -> None:
    tree.edit(
        STOCK, AVAILABLE, AVAILABLE.replace("    available: int", "    available: int\n    reserved: int = 0")
    )
    code, text = tree.run("check")
    assert code == 1
    assert "stock.changed.v1 is not frozen as it stands" in text


def test_an_edited_file_of_a_release_is_named_even_where_the_code_agrees(tree: Tree) -> None:
    tree.edit(
        STOCK, AVAILABLE, AVAILABLE.replace("    available: int", "    available: int\n    reserved: int = 0")
    )
    file = tree.contracts / "schemas/events/stock.changed.v1.json"
    document = json.loads(file.read_text())
    document["properties"]["reserved"] = {"type": "integer", "default": 0}
    file.write_text(frozen.text_of(document))
    code, text = tree.run("check")
    assert code == 1
    assert "events/stock.changed.v1.json was edited after v1.0.0" in text


def test_without_a_release_the_frozen_files_are_the_measure(tree: Tree) -> None:
    tree.git("tag", "-d", "v1.0.0")
    try:
        assert tree.run("check") == (0, "The contracts fit the frozen files.\n")
        tree.edit(STOCK, AVAILABLE, "    product_id: UUID\n\n\nclass StockLow")
        assert "stock.changed.v1, available: was removed" in tree.run("check")[1]
    finally:
        tree.git("tag", "v1.0.0", "HEAD")


def test_a_release_that_does_not_exist_is_said_so(tree: Tree) -> None:
    assert tree.run("check", "--against", "v9") == (1, "There is no release v9 in this repository.\n")
    assert tree.run("check", "--against", "v1.0.0")[0] == 0


def test_a_consumer_that_still_runs_is_named_though_it_no_longer_subscribes(tree: Tree) -> None:
    row = "        StockChanged,\n        OrderConfirmed,\n        OrderCancelled,\n        UserErased,\n"
    tree.edit("subscriptions.py", row, row.replace("        StockChanged,\n", ""))
    tree.edit(STOCK, AVAILABLE, "    product_id: UUID\n\n\nclass StockLow")
    assert f"stock.changed.v1, available: was removed. {STOCK_READERS}" in tree.run("check")[1]


def test_a_contract_that_contains_itself_cannot_be_frozen() -> None:
    with pytest.raises(TypeError, match="contains itself"):
        frozen.canonical(Branch)


class Branch(msgspec.Struct):
    branches: list[Branch]


def test_every_service_is_callee_or_caller_of_known_services_only() -> None:
    for endpoint in ENDPOINTS:
        assert {endpoint.callee, *endpoint.callers} <= set(SUBSCRIPTIONS)
        assert endpoint.callee not in endpoint.callers


@pytest.mark.parametrize("service", SUBSCRIPTIONS)
def test_every_service_reads_samples_written_by_hand(service: str) -> None:
    """The tests themselves are in `shared_lib.testing.contracts` and run in the service's own suite."""
    text = (SOURCE.parents[2] / service / "tests" / "test_contracts.py").read_text()
    assert "from shared_lib.testing.contracts import" in text
    assert not SUBSCRIPTIONS[service] or "SAMPLES = [" in text
