"""Clients that use a shop in containers while something is done to it, and count every failure themselves."""

from __future__ import annotations

import itertools
import os
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from storefront import Storefront, eventually, expect

from load.steady import Steady

ROOT = Path(__file__).resolve().parents[2]
SERVICES = sorted(path.parent.name for path in ROOT.glob("svc-*/manage.py"))


def shop(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`deploy/shop`, as `make` calls it."""
    return subprocess.run(
        [str(ROOT / "deploy" / "shop"), *arguments],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def versions(service: str) -> dict[str, str]:
    """Of each process of a service, the version that `make ps` tells."""
    rows = [line.split() for line in shop("ps", service).stdout.splitlines()[2:]]
    return {row[0]: row[3] for row in rows}


class Load:
    """`with Load(base_url) as load: ...`, then `load.unharmed()`: a steady load and two buyers, for as long as the block runs.

    Without `steady` only the buyers come, each request on a connection of its own and with fresh tokens.
    """

    def __init__(self, base_url: str, *, steady: bool = True) -> None:
        self.base_url = base_url
        self.steady = Steady(base_url) if steady else None
        self.bought = self.answers = 0
        self.failed: list[str] = []
        self._over = threading.Event()
        self._buyers = [threading.Thread(target=self._buy, args=(number,)) for number in (1, 2)]

    def __enter__(self) -> Self:
        for each in self._buyers:
            each.start()
        if self.steady:
            self.steady.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.steady:
            self.steady.__exit__(kind, error, trace)
        self._over.set()
        for each in self._buyers:
            each.join()

    def _buy(self, number: int) -> None:
        try:
            with Storefront(
                self.base_url,
                address=f"198.19.{os.getpid() % 256}.{number}",
                keeps_connections=self.steady is not None,
                watch=self._count,
            ) as buyer:
                buyer.register()
                for bought in itertools.count():
                    if self._over.wait(0.5):
                        break
                    # Of no variant there is enough for all that is bought in a long test.
                    if bought % 10 == 0:
                        variant = self._plenty(buyer)
                    if not self.steady:
                        buyer.renew()
                    buyer.add_to_cart(variant)
                    order = buyer.place_order()
                    expect(buyer.confirm(order), 200)
                    # events and worker stop before they start again: that takes longer, and fails nobody.
                    buyer.wait_for_order(order["id"], "confirmed", seconds=90)
                    eventually(
                        lambda: expect(buyer.get("/cart"), 200)["lines"], lambda lines: not lines, seconds=90
                    )
                    self.bought += 1
        except (AssertionError, httpx.HTTPError) as error:
            self.failed.append(repr(error))

    def _count(self, response: httpx.Response) -> None:
        self.answers += 1

    def _plenty(self, buyer: Storefront) -> str:
        """A variant of which there is most, of products that the steady load does not put into carts."""
        page = expect(buyer.get("/catalog/products?in_stock=true&page_size=20"), 200)["results"]
        found = [each for item in page[10:] for each in buyer.product(item["slug"])["variants"]]
        return str(max(found, key=lambda each: int(each["available"]))["id"])

    def unharmed(self) -> None:
        print(f"\n{self.bought} purchases in {self.answers} requests, {len(self.failed)} failed")
        if self.steady:
            print(self.steady.counted)
            assert self.steady.counted.failed == [], "\n".join(self.steady.counted.failed[:5])
            assert self.steady.counted.sent > 500
        assert self.failed == [], "\n".join(self.failed)
        assert self.bought >= 2
