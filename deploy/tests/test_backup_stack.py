"""`make backup` while people buy, `make restore` into a stack of its own: all that was acknowledged before is there, and fits."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from backup import moment
from shop import postgres, stack
from shop.backup import owner_url
from shop.layout import ROOT, find_layout
from shop.ports import choose_block
from shop.report import Progress

pytestmark = pytest.mark.stack
sys.path.append(str(ROOT / "tests"))
BUYERS = 3


def shop(*verb: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "deploy" / "shop"), *verb],
        cwd=ROOT,
        env={**os.environ, "RUNTIME": "native", **env},
        capture_output=True,
        text=True,
        check=False,
    )


class Buyer(threading.Thread):
    """Buys until told to stop; `orders` are those whose confirmation was answered, with their totals."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.email = ""
        self.orders: dict[str, Any] = {}
        self.trouble: list[str] = []
        self.enough = threading.Event()
        self._address = f"198.18.250.{number}"

    def run(self) -> None:
        from storefront import Storefront, eventually, expect

        with Storefront(os.environ["SHOP_BASE_URL"], address=self._address) as client:
            try:
                self.email = client.register()
                variant = client.find_variant(at_least=40)["id"]
                while not self.enough.is_set():
                    order = client.buy(variant)
                    self.orders[order["id"]] = order["total"]
                    # What was bought leaves the cart by an event.
                    eventually(lambda: expect(client.get("/cart"), 200)["lines"], lambda lines: not lines)
            except Exception as error:  # noqa: BLE001 - told by the test
                self.trouble.append(repr(error))


@pytest.fixture(scope="module")
def buyers() -> Iterator[list[Buyer]]:
    crowd = [Buyer(number) for number in range(1, BUYERS + 1)]
    for buyer in crowd:
        buyer.start()
    yield crowd
    for buyer in crowd:
        buyer.enough.set()
        buyer.join()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a second stack, which is gone afterwards."""
    env = {"SHOP_STATE_DIR": str(tmp_path / "state"), "SHOP_ENV_FILE": str(tmp_path / "env")}
    yield {**env, "GATEWAY_PORT": str(choose_block(1)[0])}
    layout = find_layout(env)
    stack.down(layout, None)
    postgres.remove_data(layout)


def test_what_was_bought_before_a_backup_is_there_after_a_restore(buyers, elsewhere, tmp_path):
    while any(len(buyer.orders) < 2 and not buyer.trouble for buyer in buyers):
        buyers[0].enough.wait(0.05)
    before = [{**buyer.orders} for buyer in buyers]
    done = shop("backup")
    after = [len(buyer.orders) for buyer in buyers]
    for buyer in buyers:
        buyer.enough.set()
        buyer.join()
    assert done.returncode == 0, done.stderr
    assert [buyer.trouble for buyer in buyers] == [[]] * BUYERS, "writers may wait, and not fail"
    assert any(count > len(orders) for count, orders in zip(after, before, strict=True)), (
        "nobody bought meanwhile"
    )
    backup = Path(done.stdout.splitlines()[0])
    assert {path.name for path in backup.iterdir()} >= {"databases", "media.tar", "secrets", "manifest.json"}
    assert not backup.stat().st_mode & 0o077

    restored = shop("restore", **elsewhere, BACKUP=str(backup))
    assert restored.returncode == 0, restored.stdout + restored.stderr
    report = tmp_path / "report.json"
    audited = shop("audit", "--json", str(report), "--in-flight-limit", "20", "--wait", "60", **elsewhere)
    assert audited.returncode == 0, audited.stdout + audited.stderr
    checked = {each["name"]: each["checked"] for each in json.loads(report.read_text())["invariants"]}
    assert checked["event-reaches-every-subscriber"]

    from storefront import Storefront, expect

    with Storefront(f"http://localhost:{elsewhere['GATEWAY_PORT']}", address="198.18.250.9") as client:
        for buyer, orders in zip(buyers, before, strict=True):
            client.login(buyer.email, "correct horse battery")
            for number, total in orders.items():
                order = expect(client.get(f"/orders/{number}"), 200)
                assert (order["total"], order["payment_status"]) == (total, "paid")
        product = expect(client.get("/catalog/products", params={"q": "lamp"}), 200)["results"][0]
        picture = client.http.get(product["thumbnail"].split("/", 3)[3].join("//")[:-1])
        assert picture.status_code == 200

    again = shop("restore", **elsewhere, BACKUP=str(backup))
    assert again.returncode == 1
    assert "This stack has data" in again.stderr


def test_a_moment_lets_no_transaction_that_writes_lie_across_it():
    """Two databases written one after the other, without a pause: never the second without the first."""
    found = stack.find(find_layout(), Progress())
    assert found is not None
    urls = {service: owner_url(found.env, service) for service in ("svc-cart", "svc-orders")}
    first, second = (psycopg.connect(url, autocommit=True) for url in urls.values())
    enough = threading.Event()

    def write() -> None:
        number = 0
        while not enough.is_set():
            number += 1
            for connection in (first, second):
                connection.execute("INSERT INTO backup_probe VALUES (%s)", (number,))

    writer = threading.Thread(target=write)
    try:
        for connection in (first, second):
            connection.execute("CREATE TABLE backup_probe (number int PRIMARY KEY)")
        writer.start()
        for _ in range(10):
            with moment.one_moment(urls) as now:
                seen = []
                for service, url in urls.items():
                    with psycopg.connect(url) as reader:
                        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
                        reader.execute(f"SET TRANSACTION SNAPSHOT '{now.snapshots[service]}'")
                        row = reader.execute("SELECT count(*) FROM backup_probe").fetchone()
                        seen.append(row[0] if row else 0)
            assert seen[0] - seen[1] in (0, 1), seen
    finally:
        enough.set()
        writer.join()
        for connection in (first, second):
            connection.execute("DROP TABLE backup_probe")
            connection.close()
