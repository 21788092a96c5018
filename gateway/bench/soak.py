"""Ten minutes at 2,000 requests a second: not one wrong answer, and no memory that grows.

    make soak-gateway

Own pages, pages from the cache, bad and ended tokens and unknown paths, while products change, sessions end and keys are read.
Every answer is checked to the byte. Memory is what the master and its workers have for themselves and share among them (PSS).
What is kept fills up first and is no leak: so answers that nobody asks for go after a minute here, and growth is counted from a
third of the time on, as the middle figure of a sixth of the time, because garbage is collected in bounds and leaps.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import os
import statistics
import tempfile
import time
import uuid
from contextlib import ExitStack
from pathlib import Path

import redis
from tests.support.gateway import Gateway
from tests.support.nginx import nginx
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.services import Services
from tests.support.tokens import KeySet

from bench.bench import children
from bench.load import ECHO, Storefronts, Tally, run


def memory(master: int) -> float:
    """MiB."""
    total = 0
    for pid in [master, *children(master)]:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += next(int(row.split()[1]) for row in rows if row.startswith("Pss:"))
    return total / 1024


async def disturb(client: redis.Redis, seconds: float) -> None:
    """What goes on in a shop meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        client.incr("gateway:cache:catalog")
        number = client.incrby("gateway:cache:products:version", 2)
        client.zadd("gateway:cache:products", {uuid.uuid4().hex: number, f"lamp-{number}": number})
        client.zadd("gateway:revoked", {f"sid:{uuid.uuid4()}": time.time() + 60})
        client.incr("gateway:revoked:version")
        await asyncio.sleep(5)


def growth(sizes: list[float]) -> tuple[float, float]:
    """MiB: the middle of the third sixth of the samples, when all that is kept has filled, and of the last."""
    sixth = max(1, len(sizes) // 6)
    return statistics.median(sizes[2 * sixth : 3 * sixth]), statistics.median(sizes[-sixth:])


def keep_for_a_minute(configuration: str) -> str:
    return configuration.replace("inactive=10m", "inactive=1m")


async def watch(master: int, seconds: float, found: list[float], tally: Tally) -> None:
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds - 1:
        await asyncio.sleep(min(10.0, seconds / 12))
        found.append(memory(master))
        print(
            f"{passed:5.0f} s  {tally.total:9,} answers, {len(tally.wrong)} wrong  {found[-1]:6.1f} MiB",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=int, default=2000)
    options = parser.parse_args()
    seconds = options.minutes * 60
    with tempfile.TemporaryDirectory(prefix="gateway-soak-") as name, ExitStack() as stack:
        folder = Path(name)
        keys, services, server = KeySet(), Services(), RedisServer(folder / "redis")
        services["svc-accounts"].jwks = keys.document
        services.start()
        stack.callback(services.stop)
        server.start()
        stack.callback(server.stop)
        backend = free_port()
        body = ECHO.format(port=backend, public="public, max-age=0, s-maxage=5")
        stack.enter_context(nginx(folder, "backend", body, backend))
        url = f"http://127.0.0.1:{backend}"
        environment = services.environment() | server.environment()
        environment |= {"SVC_ORDERS_URL": url, "SVC_CATALOG_URL": url, "MEDIA_ROOT": str(folder)}
        environment |= {
            "GATEWAY_LIMIT_ADDRESS": "100000/1s burst 100000",
            "GATEWAY_JWKS_REFRESH_SECONDS": "10",
        }
        gateway = Gateway(folder / "gateway", environment).start(keep_for_a_minute)
        stack.callback(gateway.stop)
        gateway.wait_until_keys_are_read()
        clients, tally, sizes = Storefronts(keys.keys[0], pages=50), Tally(), list[float]()
        with server.client() as client:
            client.zadd(
                "gateway:revoked", {f"sid:{session}": time.time() + 7200 for session in clients.ended}
            )
            client.incr("gateway:revoked:version")
            time.sleep(2)

            async def everything() -> None:
                await asyncio.gather(
                    run(gateway.port, options.rate, seconds, clients.mixed, tally),
                    disturb(client, seconds),
                    watch(gateway.master, seconds, sizes, tally),
                )

            asyncio.run(everything())
        first, last = growth(sizes)
        now = datetime.datetime.now(datetime.UTC)
        print(f"\n{now:%Y-%m-%d %H:%M} UTC, load average {os.getloadavg()[0]:.1f}")
        print(f"{tally.total:,} answers in {seconds:.0f} s, {tally.total / seconds:,.0f} a second")
        print(f"the slowest took {tally.slowest * 1000:.0f} ms")
        print(
            f"memory {first:.1f} MiB after a third of the time, {last:.1f} MiB at the end, {max(sizes):.1f} MiB at most"
        )
        for state, count in sorted(tally.states.items()):
            print(f"  {count:9,}  {state}")
        for line in tally.wrong[:20]:
            print("wrong:", line)
        if tally.wrong or last > first * 1.03 + 0.5 or tally.total < 0.9 * options.rate * seconds:
            raise SystemExit("The soak has failed: wrong answers, growing memory, or too few requests.")


if __name__ == "__main__":
    main()
