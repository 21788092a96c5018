"""svc-catalog's public reads, straight from its web process, beside Django REST Framework over the same rows.

    make bench-catalog [ARGS="--products 10000,100000,1000000"]

One web process as the shop runs it (one worker), and a second one of the same kind that also has the views of `load.baseline`,
on a database of their own that grows from size to size and is dropped afterwards. wrk asks on kept connections, in turn for
all things measured, and looks at each answer; CPU time is that of the web process and of its backends, from /proc.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from load import wrk
from load.cpu import seconds_below, seconds_of
from load.figures import Figure, Results
from load.products import ORIGINALS, Products

TESTS = Path(__file__).resolve().parents[1]
SERVICE = TESTS.parent / "svc-catalog"
DATABASE = "bench_catalog"
PAGE, DEEP = 20, 1000
API = "/api/v1/catalog/products"
#: What each product of an answer has once.
CARD, CARD_OF_DRF = '"seller":', '"seller_id":'
DETAIL, DETAIL_OF_DRF = '"variants":[{"id" : ', '"variants":[{"id":'
#: Words of the demo products, from those that one product in 25 has to those that one in some hundred has.
SEARCHES = (
    *(
        "lamp",
        "desk lamp",
        "headphones",
        "merino wool",
        "kestrel",
        "oak shelf",
        "travel backpack",
        "running shoes",
    ),
    *(
        "nordlicht lamp",
        "linen",
        "chelsea boots navy",
        "hikari vase",
        "cast iron wok",
        "puzzle",
        "titanium watch",
    ),
)
#: No product has these words: names that look like them are shown.
MISSPELT = ("hedphones", "casserolle", "bookshelv", "turtlneck", "backpak", "overshrt", "cardigen")


@dataclass
class Line:
    """One thing measured: what is asked for, of which web, and what each answer has to hold so many times.

    After `measure`: one entry a round, of answers a second, milliseconds (p50, p99), and CPU milliseconds a request.
    """

    what: str
    web: Web
    paths: list[str]
    text: str
    times: int
    connections: int
    rates: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    service: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def measure(self, seconds: int, folder: Path, *, keep: bool = True) -> None:
        """One round. `keep=False` only warms up."""
        before = self.web.cpu()
        load = wrk.run(
            self.web.url,
            self.paths,
            self.text,
            self.times,
            seconds=seconds,
            connections=self.connections,
            folder=folder,
        )
        after = self.web.cpu()
        if load.wrong:
            self.wrong.append(f"{self.what}: {load.wrong}")
        if keep and load.answers:
            self.rates.append(load.rate)
            self.p50.append(load.p50)
            self.p99.append(load.p99)
            self.service.append((after[0] - before[0]) / load.answers * 1000)
            self.database.append((after[1] - before[1]) / load.answers * 1000)

    @property
    def cpu(self) -> float:
        """Milliseconds a request of web and database together: the smallest round, which other work has disturbed least."""
        return min(map(sum, zip(self.service, self.database, strict=True)))


class Web:
    """One web process of svc-catalog: its address, and what it has cost until now."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, name: str) -> None:
        self.url, self._pid, self._name = f"http://127.0.0.1:{port}", process.pid, name

    def cpu(self) -> tuple[float, float]:
        """Seconds of the web process with its worker, and of the backends of PostgreSQL that serve it."""
        return seconds_below(self._pid), seconds_of(self._backends())

    def _backends(self) -> list[int]:
        with psycopg.connect(os.environ["BENCH_DATABASE"]) as connection:
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = %s", [self._name]
            ).fetchall()
        return [int(row[0]) for row in rows]

    def json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def get(self, path: str) -> bytes:
        """The body of the answer; raises SystemExit for any other status than 200."""
        where = urlsplit(self.url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {body[:300]!r}")
        return body


@contextmanager
def database() -> Iterator[str]:
    """A database with svc-catalog's tables and `ORIGINALS` demo products; gives its URL as the service's own role."""
    own = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{DATABASE}"))
    role = urlsplit(own).username or ""
    with psycopg.connect(os.environ["BENCH_DATABASE"], autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)".encode())
        admin.execute(f'CREATE DATABASE {DATABASE} OWNER "{role}"'.encode())
        try:
            environment = {**os.environ, "DATABASE_URL": own}
            for command in (
                ["migrate", "--no-input", "--verbosity", "0"],
                ["generate_fake_products", str(ORIGINALS), "--no-events"],
            ):
                subprocess.run(
                    [sys.executable, "manage.py", *command],
                    cwd=SERVICE,
                    env=environment,
                    check=True,
                    stdout=subprocess.DEVNULL,
                )
            yield own
        finally:
            admin.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)".encode())


@contextmanager
def web(url: str, log: Path, **more: str) -> Iterator[Web]:
    """The service's web process, ready."""
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        port = any_port.getsockname()[1]
    name = f"bench-{log.stem}"
    environment = {
        **os.environ,
        **more,
        "DATABASE_URL": url,
        "DATABASE_APPLICATION_NAME": name,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "WEB_WORKERS": "1",
        "PYTHONPATH": str(TESTS),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "shared_lib.server", "web"],
            cwd=SERVICE,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        found = Web(process, port, name)
        until = time.monotonic() + 60
        while True:
            try:
                found.get("/readyz")
                break
            except (OSError, SystemExit):
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"svc-catalog does not get ready:\n{log.read_text()[-3000:]}") from None
                time.sleep(0.1)
        yield found
    finally:
        process.terminate()
        process.wait(timeout=80)


def cursor_of_page(found: Web, page: int) -> str | None:
    """The cursor of that page of 20, newest first; None where there are not so many products."""
    cursor, left = "", (page - 1) * PAGE
    while left:
        size = min(left, 100)
        answer = found.json(
            f"{API}?{urlencode({'page_size': size, **({'cursor': cursor} if cursor else {})})}"
        )
        left -= size
        if answer["next"] is None:
            return None
        cursor = parse_qs(urlsplit(answer["next"]).query)["cursor"][0]
    return cursor


def full_pages(found: Web, searches: Sequence[str]) -> list[str]:
    """The paths of those searches that find a whole page, so that each answer can be checked alike.

    Raises SystemExit where fewer than half of them do.
    """
    paths = [f"{API}?{urlencode({'q': words})}" for words in searches]
    full = [path for path in paths if len(found.json(path)["results"]) == PAGE]
    if len(full) * 2 < len(paths):
        raise SystemExit(f"Only {len(full)} of {len(paths)} searches find {PAGE} products: {full}")
    return full


def lines(found: Web, baseline: Web, products: Products, connections: int, searches: int) -> dict[str, Line]:
    """Everything that is measured at one size, by a short name."""
    slugs = products.slugs(500)
    tree = found.json("/api/v1/catalog/categories")["results"]
    categories = [f"{API}?category={node['slug']}" for root in tree for node in (root, *root["children"])]
    words, misspelt = (full_pages(found, some) for some in (SEARCHES, MISSPELT))
    deep = cursor_of_page(found, DEEP)
    made = {
        "list": Line("list of 20, newest", found, [API], CARD, PAGE, connections),
        "drf list": Line("the same by DRF", baseline, ["/baseline/products"], CARD_OF_DRF, PAGE, connections),
        "category": Line("list of a category, of all in turn", found, categories, CARD, PAGE, connections),
        "deep": Line(f"page {DEEP:,}", found, [f"{API}?cursor={deep}"], CARD, PAGE, connections),
        "detail": Line("product detail", found, [f"{API}/{slug}" for slug in slugs], DETAIL, 1, connections),
        "drf detail": Line(
            "the same by DRF",
            baseline,
            [f"/baseline/products/{slug}" for slug in slugs],
            DETAIL_OF_DRF,
            1,
            connections,
        ),
        "search": Line("search", found, words, CARD, PAGE, searches),
        "misspelt": Line("search, misspelt", found, misspelt, CARD, PAGE, searches),
    }
    if deep is None:
        del made["deep"]
    return made


def measure(made: dict[str, Line], rounds: int, seconds: int, folder: Path) -> None:
    """Each line once to get warm, then all of them in turn, round after round."""
    for line in made.values():
        line.measure(1, folder, keep=False)
    for _ in range(rounds):
        for line in made.values():
            line.measure(seconds, folder)


def show(size: int, made: dict[str, Line]) -> None:
    """A table in Markdown: the middle of the rounds, for CPU the smallest."""
    print(f"\n{size:,} products, load average {os.getloadavg()[0]:.1f}\n")
    print("| | connections | a second | p50, ms | p99, ms | CPU a request, ms: service | database |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for line in made.values():
        if line.rates:
            rate, p50, p99 = map(statistics.median, (line.rates, line.p50, line.p99))
            print(
                f"| {line.what} | {line.connections} | {rate:,.0f} | {p50:.1f} | {p99:.1f}"
                f" | {min(line.service):.2f} | {min(line.database):.2f} |"
            )
    sys.stdout.flush()


def figures(sizes: dict[int, dict[str, Line]]) -> list[Figure]:
    """What there are targets for: lists and details at the last size up to 100,000, search and depth at the largest."""
    made: list[Figure] = []
    smallest, largest = min(sizes), max(sizes)
    usual = max((size for size in sizes if size <= 100_000), default=smallest)
    its, of = sizes[usual], f"{usual:,} products"
    rate, drf = (statistics.median(its[name].rates) for name in ("list", "drf list"))
    made += [
        Figure(f"list of 20, {of}", rate, "a second", 1500, at_most=False, beside=f"DRF {drf:,.0f} a second"),
        Figure(f"list of 20, {of}, beside DRF", rate / drf, "times as many a second", 5, at_most=False),
        Figure(
            f"list of 20, {of}, CPU beside DRF",
            its["drf list"].cpu / its["list"].cpu,
            "times less",
            beside=f"{its['list'].cpu:.2f} and {its['drf list'].cpu:.2f} ms a request with the database",
        ),
        Figure(
            f"product detail, {of}, CPU of the service",
            min(its["detail"].service),
            "ms",
            0.6,
            beside=f"DRF {min(its['drf detail'].service):.2f} ms",
        ),
    ]
    first = statistics.median(sizes[smallest]["list"].p99)
    for size, lines_of in sizes.items():
        if "deep" in lines_of:
            made.append(
                Figure(
                    f"page {DEEP:,}, {size:,} products, p99 beside page 1 of {smallest:,}",
                    statistics.median(lines_of["deep"].p99) / first,
                    "times",
                    1.5 if size == largest else None,
                    beside=f"page 1 of {smallest:,} products {first:.1f} ms",
                )
            )
    search, misspelt = (statistics.median(sizes[largest][name].p99) for name in ("search", "misspelt"))
    made += [
        Figure(f"search, {largest:,} products, p99", search, "ms", 150),
        Figure(f"search, misspelt, {largest:,} products, p99", misspelt, "ms", 150),
    ]
    return made


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--products", default="10000,100000", help="sizes, separated by commas, 2,000 at least"
    )
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument(
        "--search-connections", type=int, default=4, help="as many as the service has threads"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of each line in each round")
    parser.add_argument("--figures", type=Path, help="a file for the results, as JSON")
    given = parser.parse_args()
    try:
        sizes = sorted({int(size) for size in given.products.split(",")})
    except ValueError:
        sizes = []
    if not sizes or sizes[0] < ORIGINALS:
        parser.error(f"--products {given.products}: give numbers from {ORIGINALS} on, separated by commas.")

    measured: dict[int, dict[str, Line]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="catalog-bench-")))
        url = stack.enter_context(database())
        products = Products(urlunsplit(urlsplit(os.environ["BENCH_DATABASE"])._replace(path=f"/{DATABASE}")))
        products.prepare()
        found = stack.enter_context(web(url, folder / "web.log"))
        baseline = stack.enter_context(
            web(url, folder / "baseline.log", DJANGO_SETTINGS_MODULE="load.baseline_settings")
        )
        for size in sizes:
            began = time.monotonic()
            products.grow(size)
            print(f"{size:,} products made in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            measured[size] = lines(found, baseline, products, given.connections, given.search_connections)
            measure(measured[size], given.rounds, given.seconds, folder)
            show(size, measured[size])
    wrong = [text for made in measured.values() for line in made.values() for text in line.wrong]
    results = Results(
        "svc-catalog",
        f'make bench-catalog ARGS="--products {given.products}"',
        tuple(figures(measured)),
        tuple(wrong),
    )
    return results.hand_over(given.figures)


if __name__ == "__main__":
    sys.exit(main())
