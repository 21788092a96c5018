"""`make audit` on the running stack: clean after whatever the tests before this one bought, and not after one row is changed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shop import postgres, stack
from shop.layout import ROOT, find_layout
from shop.report import Progress

pytestmark = pytest.mark.stack
sys.path.append(str(ROOT / "tests"))


@pytest.fixture(scope="module")
def env() -> dict[str, str]:
    found = stack.find(find_layout(), Progress())
    assert found is not None, "there are no settings: is the stack up?"
    return found.env


def audit(folder: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, report, and what was said."""
    file = folder / "report.json"
    done = subprocess.run(
        [str(ROOT / "deploy" / "shop"), "audit", "--json", str(file), *arguments],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(file.read_text()) if file.exists() else {}, done.stdout + done.stderr


def buy() -> None:
    """An order that is confirmed, one whose payment was declined first, one that is cancelled after it was paid, one unpaid."""
    from storefront import Storefront, expect

    with Storefront(os.environ["SHOP_BASE_URL"], address="198.18.255.1") as shop:
        shop.register()
        variant = shop.find_variant(at_least=20)["id"]
        shop.buy(variant, 2)
        shop.add_to_cart(variant)
        declined = shop.place_order()
        expect(shop.confirm(declined, "pm_card_chargeDeclined"), 402)
        expect(shop.confirm(declined), 200)
        shop.wait_for_order(declined["id"], "confirmed")
        cancelled = shop.buy(variant, 3)
        expect(shop.post(f"/orders/{cancelled['id']}/cancel"), 200)
        shop.add_to_cart(variant)
        shop.place_order()


def test_the_shop_is_clean_after_purchases(tmp_path):
    """Nothing younger than 20 seconds counts; what is older has had its time, on a slow machine too."""
    buy()
    code, report, said = audit(tmp_path, "--in-flight-limit", "20", "--wait", "30")
    assert code == 0, said
    checked = {each["name"]: each["checked"] for each in report["invariants"]}
    for name in (
        "paid-order-has-its-money",
        "ended-order-keeps-no-money",
        "payment-is-booked-once",
        "confirmed-order-sold-its-lines",
        "event-reaches-every-subscriber",
        "event-is-mailed-to-its-user",
    ):
        assert checked[name], f"{name} had nothing to check"


def test_one_changed_row_is_found_by_the_command(env, tmp_path):
    first = "(SELECT min(id::text) FROM catalog_product)::uuid"
    change = f"UPDATE catalog_product SET variants_in_stock = variants_in_stock {{}} 1 WHERE id = {first}"  # noqa: S608 - its own words
    with postgres.connect(env, "svc_catalog") as connection:
        connection.execute(change.format("+"))
        try:
            code, report, said = audit(tmp_path, "--wait", "1")
        finally:
            connection.execute(change.format("-"))
    assert code == 1
    assert [each["name"] for each in report["invariants"] if each["wrong"]] == [
        "product-counts-what-is-in-stock"
    ]
    assert "product-counts-what-is-in-stock  svc-catalog" in said


def test_without_a_shop_there_is_a_sentence_and_exit_2(tmp_path):
    done = subprocess.run(
        [str(ROOT / "deploy" / "shop"), "audit"],
        cwd=ROOT,
        env={**os.environ, "SHOP_STATE_DIR": str(tmp_path / "state"), "SHOP_ENV_FILE": str(tmp_path / "env")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "The shop is not running: `make up` starts it." in done.stderr
