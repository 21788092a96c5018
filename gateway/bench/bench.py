"""CPU per request of the gateway beside Nginx's own baselines, all on this machine in one run.

    make bench-gateway

One worker each. The service behind is an Nginx that serves some bytes, so that what is measured is the gateway alone: the CPU
time of its worker (from /proc) divided by the answers that wrk counted. What else runs makes that larger (caches are shared),
and the machine itself drifts: so all lines are measured in turn, in rounds, and reported are the smallest figure of each, the
middle one, and as ratios that of the smallest and the middle one of the ratios within each round. The deny list holds a
thousand ended sessions, and every limit counts.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.gateway import NGINX, Gateway
from tests.support.nginx import nginx
from tests.support.ports import free_port, wait_for_port
from tests.support.redis_server import RedisServer
from tests.support.services import Services
from tests.support.tokens import KeySet, access_token

from load import wrk
from load.figures import Figure, Results

TICK = os.sysconf("SC_CLK_TCK")
CONNECTIONS = 32
SHORT = "/api/v1/orders/0198c0de-0000-7000-8000-000000000001"
LIST = "/api/v1/catalog/products?page_size=20"

WRK_SCRIPT = """
local requests, position = {}, 0
init = function(arguments)
  for line in io.lines(arguments[1]) do
    requests[#requests + 1] = wrk.format("GET", nil, {
      ["Authorization"] = line ~= "" and line or nil, ["Accept"] = "application/json",
      ["User-Agent"] = "bench/1.0 (a storefront of usual length)", ["Accept-Language"] = "en",
      ["Accept-Encoding"] = arguments[2], ["Host"] = "localhost" })
  end
end
request = function()
  position = position % #requests + 1
  return requests[position]
end
"""

BACKEND = """
types {{ application/json json; }}
server {{
    listen 127.0.0.1:{port} backlog=1024; default_type application/json;
    location / {{ return 200 '{filler}'; }}
    location /api/v1/catalog/ {{
        root "{folder}/static"; try_files /list.json =404; gzip_static on; gzip_vary on;
        add_header Cache-Control "public, max-age=0, s-maxage=3600";
    }}
}}"""
PROXY = """
upstream backend {{ server 127.0.0.1:{backend}; keepalive 64; keepalive_requests 1000000; }}
upstream django {{ server 127.0.0.1:{django}; keepalive 64; }}
server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{ {guard} proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    location = /verify {{
        internal; proxy_pass http://django/verify; proxy_http_version 1.1; proxy_set_header Connection "";
        proxy_pass_request_body off; proxy_set_header Content-Length "";
    }}
}}"""
STATIC = """
types {{ application/json json; }}
sendfile on; tcp_nopush on; {cache}
server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{ root "{folder}/static"; try_files /list.json =404; gzip_static on; }}
}}"""


@contextmanager
def granian(folder: Path, keys: KeySet, port: int) -> Iterator[int]:
    """Django behind Granian; gives the process id of its master."""
    (folder / "key.pem").write_bytes(keys.keys[0].public_pem)
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--workers", "1", "--port", str(port)]
    command += [
        "--blocking-threads",
        "1",
        "--no-ws",
        "--log-level",
        "warning",
        "bench.django_auth:application",
    ]
    environment = dict(os.environ) | {"BENCH_PUBLIC_KEY": str(folder / "key.pem")}
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
    try:
        wait_for_port(port, 30)
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=10)


def children(master: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{master}/task").iterdir():
        found += [int(pid) for pid in (task / "children").read_text().split()]
    return found


def cpu_seconds(masters: list[int]) -> float:
    """Of the children of these processes; a worker of Nginx or Granian has none of its own."""
    total = 0
    for pid in [pid for master in masters for pid in children(master)]:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


@dataclass
class Line:
    """One thing measured: what wrk asks for, and whose CPU counts. `beside` is what it is compared with."""

    label: str
    url: str
    tokens: str
    masters: list[int]
    beside: str
    encoding: str = "gzip"
    figures: list[float] = field(default_factory=list)

    def measure(self, folder: Path, seconds: int) -> float:
        """Microseconds of CPU a request; raises when an answer was not a 200."""
        before = cpu_seconds(self.masters)
        command = [
            "wrk",
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{seconds}s",
            "--latency",
            "-s",
            str(folder / "script.lua"),
            self.url,
        ]
        command += ["--", str(folder / self.tokens), self.encoding]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        time.sleep(0.1)
        used = cpu_seconds(self.masters) - before
        load = wrk.parse(output)
        if load.wrong:
            raise SystemExit(f"{self.label}: not every answer was good\n{output}")
        return used / load.answers * 1e6


def items() -> str:
    rows = ",".join(
        f'{{"id":"{uuid.uuid4()}","slug":"lamp-{n}","name":"Desk lamp number {n}","price":{{"amount":{1999 + n},'
        f'"currency":"USD"}},"rating":4.5,"review_count":{n},"in_stock":true,"seller":"{uuid.uuid4()}"}}'
        for n in range(20)
    )
    return f'{{"results":[{rows}],"next":null,"previous":null}}'


def versions() -> str:
    nginx_version = subprocess.run([NGINX, "-v"], capture_output=True, text=True, check=True).stderr.split(
        "/"
    )[-1]
    return f"Nginx {nginx_version.strip()}, Linux {platform.release()}, {os.cpu_count()} cores"


def report(lines: list[Line], load_before: float) -> None:
    """The table of docs/benchmarks.md."""
    now = datetime.datetime.now(datetime.UTC)
    load = f"{load_before:.1f} before, {os.getloadavg()[0]:.1f} after"
    print(f"{now:%Y-%m-%d %H:%M} UTC, {versions()}, load average {load}\n")
    print("| | CPU a request, µs (smallest) | (middle) | times what it is compared with (smallest, middle) |")
    print("| --- | --- | --- | --- |")
    by_label = {line.label: line for line in lines}
    for line in lines:
        least, middle = min(line.figures), statistics.median(line.figures)
        other = by_label[line.beside].figures
        within = statistics.median(one / beside for one, beside in zip(line.figures, other, strict=True))
        ratio = f"{least / min(other):.2f}, {within:.2f}"
        print(f"| {line.label} | {least:.1f} | {middle:.1f} | {ratio} |")


def figures(lines: list[Line], targets: dict[str, float]) -> tuple[Figure, ...]:
    """Of the lines with a target, by label: how many times the CPU of what each is compared with, by the smallest of each."""
    by_label = {line.label: line for line in lines}
    return tuple(
        Figure(
            label,
            min(by_label[label].figures) / min(by_label[by_label[label].beside].figures),
            "times the CPU",
            target,
            beside=f"{by_label[label].beside} {min(by_label[by_label[label].beside].figures):.1f} µs",
        )
        for label, target in targets.items()
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--tokens", type=int, default=10_000)
    parser.add_argument("--figures", type=Path, help="a file for the results, as JSON")
    options = parser.parse_args()
    load_before = os.getloadavg()[0]

    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "static").mkdir()
        body = items().encode()
        (folder / "static" / "list.json").write_bytes(body)
        (folder / "static" / "list.json.gz").write_bytes(gzip.compress(body))
        keys = KeySet()
        (folder / "none").write_text("\n")
        (folder / "one").write_text(f"Bearer {access_token(keys.keys[0])}\n")
        many = [f"Bearer {access_token(keys.keys[0])}\n" for _ in range(options.tokens)]
        (folder / "many").write_text("".join(many))
        (folder / "script.lua").write_text(WRK_SCRIPT)

        backend, bare, guarded, static, opened, django = (free_port() for _ in range(6))
        filler = '{"results": "' + "x" * 284 + '"}'
        served = BACKEND.format(port=backend, filler=filler, folder=folder)
        stack.enter_context(nginx(folder, "backend", served, backend))
        proxy = PROXY.format(port=bare, backend=backend, django=django, guard="")
        bare_master = stack.enter_context(nginx(folder, "bare", proxy, bare))
        granian_master = stack.enter_context(granian(folder, keys, django))
        asking = PROXY.format(port=guarded, backend=backend, django=django, guard="auth_request /verify;")
        guarded_master = stack.enter_context(nginx(folder, "guarded", asking, guarded))
        files = STATIC.format(port=static, folder=folder, cache="")
        static_master = stack.enter_context(nginx(folder, "static", files, static))
        files = STATIC.format(port=opened, folder=folder, cache="open_file_cache max=1000;")
        opened_master = stack.enter_context(nginx(folder, "opened", files, opened))

        services = Services()
        services["svc-accounts"].jwks = keys.document
        services.start()
        stack.callback(services.stop)
        redis = RedisServer(folder / "redis")
        redis.start()
        stack.callback(redis.stop)
        with redis.client() as client:
            ended = {f"sid:{uuid.uuid4()}": time.time() + 3600 for _ in range(1000)}
            client.zadd("gateway:revoked", ended)
            client.incr("gateway:revoked:version")
        huge = "1000000/1s burst 1000"
        environment = {
            **services.environment(),
            **redis.environment(),
            "SVC_ORDERS_URL": f"http://127.0.0.1:{backend}",
            "SVC_CATALOG_URL": f"http://127.0.0.1:{backend}",
            "MEDIA_ROOT": str(folder),
            "GATEWAY_WORKERS": "1",
            "GATEWAY_LIMIT_USER": huge,
            "GATEWAY_LIMIT_ADDRESS": huge,
        }
        gateway = Gateway(folder / "gateway", environment).start()
        stack.callback(gateway.stop)
        gateway.wait_until_keys_are_read()
        gateway.wait_for_metric("gateway_cache_age_seconds", lambda age: age < 1)

        here, door = "http://127.0.0.1", gateway.url
        count = f"{options.tokens:,} tokens in turn"
        plain, one, turn = "bare `proxy_pass`", "the gateway, one token", f"the gateway, {count}"
        file, packed = "Nginx, a file of 4 kB", "Nginx, the same file compressed (`gzip_static`)"
        masters = [gateway.master]
        both = [guarded_master, granian_master]
        lines = [
            Line(plain, f"{here}:{bare}{SHORT}", "one", [bare_master], plain),
            Line(one, door + SHORT, "one", masters, plain),
            Line(turn, door + SHORT, "many", masters, plain),
            Line("`auth_request` to Django, one token", f"{here}:{guarded}{SHORT}", "one", both, plain),
            Line(file, f"{here}:{static}{LIST}", "none", [static_master], file, "identity"),
            Line("the gateway's cache, the same bytes", door + LIST, "none", masters, file, "identity"),
            Line(
                "Nginx, the file kept open (`open_file_cache`)",
                f"{here}:{opened}{LIST}",
                "none",
                [opened_master],
                file,
                "identity",
            ),
            Line(packed, f"{here}:{static}{LIST}", "none", [static_master], packed),
            Line("the gateway's cache, compressed", door + LIST, "none", masters, packed),
        ]
        for line in lines:
            line.measure(folder, 5 if line.tokens == "many" else 1)
        for _ in range(options.rounds):
            for line in lines:
                line.figures.append(line.measure(folder, options.seconds))
        report(lines, load_before)
    cached = "the gateway's cache, the same bytes"
    targets = {one: 1.2, turn: 1.4, cached: 1.33, "the gateway's cache, compressed": 1.33}
    return Results("The gateway", "make bench-gateway", figures(lines, targets)).hand_over(options.figures)


if __name__ == "__main__":
    sys.exit(main())
