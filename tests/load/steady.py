"""A steady load of carts and catalog pages whose client counts every failure itself.

    cd tests && ../.local/venv/bin/python load/steady.py [--seconds 30] [--rate 100] [--base-url http://localhost:8080]

Guests fill and read carts and read products through the gateway, on connections that they keep. Nothing is sent twice, and at
the end each cart has to hold exactly what was answered 201: a lost POST and one that ran twice are failures too.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

TIMEOUT = 30.0
#: What each client does, in turn. `products` alone is kept by the gateway; a new search never is.
ROUND = ("read", "add", "search", "read", "product", "search", "read", "add")


@dataclass
class Counted:
    """What the clients saw: `failed` holds one line for each answer that should not have been, or that never came."""

    sent: int = 0
    failed: list[str] = field(default_factory=list)
    slowest: float = 0.0
    seconds: float = 0.0

    def __str__(self) -> str:
        rate = self.sent / self.seconds if self.seconds else 0
        return (
            f"{self.sent} requests in {self.seconds:.1f} s ({rate:.0f} a second), {len(self.failed)} failed,"
            f" slowest {self.slowest * 1000:.0f} ms"
        )


class Steady:
    """`with Steady(base_url, rate) as load: ...`: the load runs until the block ends; then `load.counted` is final.

    `rate` is requests a second of all `clients` together; each keeps to its own clock, whatever the answers take.
    """

    def __init__(self, base_url: str, rate: float = 100, clients: int = 20) -> None:
        self.counted = Counted()
        self._where = urlsplit(base_url)
        self._pause = clients / rate
        self._clients = clients
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._slugs: list[str] = []
        self._variants: list[str] = []
        self._numbers = itertools.count(int(time.time() * 1000))

    def __enter__(self) -> Self:
        page = self._plain("/catalog/products?in_stock=true&page_size=20")
        self._slugs = [item["slug"] for item in page["results"]]
        for slug in self._slugs[:10]:
            product = self._plain(f"/catalog/products/{slug}")
            self._variants += [one["id"] for one in product["variants"] if one["available"] >= 99]
        self._began = time.monotonic()
        self._threads = [threading.Thread(target=self._client, args=(n,)) for n in range(self._clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.counted.seconds = time.monotonic() - self._began

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._where.hostname or "", self._where.port, timeout=TIMEOUT)

    def _plain(self, path: str) -> Any:
        connection = self._connect()
        connection.request("GET", f"/api/v1{path}", headers={"X-Forwarded-For": "198.18.255.1"})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {body[:200]!r}")
        return json.loads(body)

    def _client(self, number: int) -> None:
        connection = self._connect()
        address = f"198.18.{200 + os.getpid() % 50}.{number + 1}"
        headers = {"X-Forwarded-For": address, "Content-Type": "application/json"}
        added = 0
        due = time.monotonic() + number * self._pause / self._clients
        for action in itertools.cycle(ROUND):
            if self._stop.wait(max(0.0, due - time.monotonic())):
                break
            due = max(due + self._pause, time.monotonic() - 1)
            if action == "add" and added < 90:
                body = {"variant_id": self._variants[number % len(self._variants)], "quantity": 1}
                status, its, _ = self._send(
                    connection, "POST", "/cart/lines", headers, 201, json.dumps(body).encode()
                )
                added += status == 201
                if "x-cart-token" in its:
                    headers["X-Cart-Token"] = its["x-cart-token"]
            elif action == "search":
                path = f"/catalog/products?page_size=2&q=x{next(self._numbers)}"
                self._send(connection, "GET", path, headers, 200)
            elif action == "product":
                path = f"/catalog/products/{self._slugs[number % len(self._slugs)]}"
                self._send(connection, "GET", path, headers, 200)
            else:
                self._send(connection, "GET", "/cart", headers, 200)
        _, _, cart = self._send(connection, "GET", "/cart", headers, 200)
        lines = json.loads(cart)["lines"] if cart else []
        held = sum(line["quantity"] for line in lines)
        if held != added:
            with self._lock:
                self.counted.failed.append(f"client {number}: {added} added, {held} in the cart")
        connection.close()

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        headers: dict[str, str],
        wanted: int,
        body: bytes | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        began = time.monotonic()
        wrong = ""
        try:
            connection.request(method, f"/api/v1{path}", body=body, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
            status, its = answer.status, {name.lower(): value for name, value in answer.headers.items()}
            if status != wanted:
                wrong = f"{status} {content[:200]!r}"
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            status, its, content, wrong = 0, {}, b"", repr(error)
        took = time.monotonic() - began
        with self._lock:
            self.counted.sent += 1
            self.counted.slowest = max(self.counted.slowest, took)
            if wrong:
                moment = began - self._began
                self.counted.failed.append(f"at {moment:.1f} s, after {took:.2f} s: {method} {path}: {wrong}")
        return status, its, content if not wrong else b""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base-url", default=os.environ.get("SHOP_BASE_URL", "http://localhost:8080"))
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rate", type=float, default=100)
    options = parser.parse_args()
    with Steady(options.base_url, options.rate) as load:
        time.sleep(options.seconds)
    print(load.counted)
    for line in load.counted.failed[:20]:
        print(" ", line)
    return 1 if load.counted.failed else 0


if __name__ == "__main__":
    sys.exit(main())
