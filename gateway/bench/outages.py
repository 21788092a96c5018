"""svc-catalog and Redis killed under load: what clients see, second by second.

    cd gateway && ../.local/venv/bin/python -m bench.outages

Half of the requests are for pages that are kept, half for pages that nobody has asked for. svc-catalog is an Nginx that is
killed with SIGKILL and started again; so is Redis.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import os
import random
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.support.gateway import Gateway
from tests.support.nginx import nginx
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.services import Services
from tests.support.tokens import KeySet

from bench.load import ECHO, Answer, Connection, Request, Storefronts, Tally, run


def unknown_page() -> Request:
    path = f"/api/v1/catalog/products?page=new-{random.random()}"

    def check(answer: Answer) -> str | None:
        if answer.status == 200 or (
            answer.status == 503 and answer.headers.get("content-type") == "application/problem+json"
        ):
            return None
        return f"{answer.status} {answer.body[:200]!r}"

    return Request("new page", path, {}, check)


async def phase(name: str, gateway: Gateway, rate: int, seconds: float, clients: Storefronts) -> Tally:
    tally = Tally()

    def make() -> Request:
        choice = random.random()
        return (
            clients.page("kept page") if choice < 0.4 else unknown_page() if choice < 0.8 else clients.own()
        )

    await run(gateway.port, rate, seconds, make, tally)
    shown = ", ".join(f"{count} {state}" for state, count in sorted(tally.states.items()))
    print(f"{name}: {shown}; slowest {tally.slowest * 1000:.0f} ms; {len(tally.wrong)} wrong", flush=True)
    for line in tally.wrong[:5]:
        print("  wrong:", line)
    return tally


async def first_good(gateway: Gateway, seconds: float = 10) -> float:
    """Seconds until a page that nobody has asked for is answered."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        connection = Connection(gateway.port)
        answer = await connection.send(unknown_page(), "100.81.0.1")
        await connection.close()
        if answer.status == 200:
            return time.monotonic() - began
        await asyncio.sleep(0.02)
    raise SystemExit("svc-catalog was not found again")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gateway-outages-") as name, ExitStack() as stack:
        folder = Path(name)
        keys, services, server = KeySet(), Services(), RedisServer(folder / "redis")
        services["svc-accounts"].jwks = keys.document
        services.start()
        stack.callback(services.stop)
        server.start()
        stack.callback(server.stop)
        orders, catalog = free_port(), free_port()
        stack.enter_context(nginx(folder, "orders", ECHO.format(port=orders, public=""), orders))
        serving = ECHO.format(port=catalog, public="public, max-age=0, s-maxage=1")
        environment = services.environment() | server.environment()
        environment |= {"SVC_ORDERS_URL": f"http://127.0.0.1:{orders}", "MEDIA_ROOT": str(folder)}
        environment |= {"SVC_CATALOG_URL": f"http://127.0.0.1:{catalog}"}
        environment |= {"GATEWAY_LIMIT_ADDRESS": "100000/1s burst 100000"}
        gateway = Gateway(folder / "gateway", environment).start()
        stack.callback(gateway.stop)
        gateway.wait_until_keys_are_read()
        clients = Storefronts(keys.keys[0], pages=50)
        tallies: list[Tally] = []
        print(
            f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC, load average {os.getloadavg()[0]:.1f}"
        )

        async def measured(label: str) -> Tally:
            tally = await phase(label, gateway, options.rate, options.seconds, clients)
            tallies.append(tally)
            return tally

        with nginx(folder, "catalog", serving, catalog) as master:
            asyncio.run(measured("all well"))
            pids = [master, *_children(master)]
            for pid in pids:
                os.kill(pid, 9)
        away = asyncio.run(measured("svc-catalog killed"))
        with nginx(folder, "catalog", serving, catalog):
            print(f"svc-catalog is back: found after {asyncio.run(first_good(gateway)):.2f} s")
            asyncio.run(measured("svc-catalog back"))
            server.stop()
            asyncio.run(measured("Redis killed"))
            server.start()
            asyncio.run(measured("Redis back"))
        good = Counter(
            {state: count for state, count in away.states.items() if state.startswith("kept page 200")}
        )
        if any(tally.wrong for tally in tallies) or not good["kept page 200 STALE"]:
            raise SystemExit("Not as promised.")


def _children(master: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


if __name__ == "__main__":
    main()
