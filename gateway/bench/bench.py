"""CPU per request of the gateway beside Nginx's own baselines, all on this machine in one run.

    cd gateway && ../.local/venv/bin/python -m bench.bench [--seconds 5] [--rounds 3]

One worker each. The service behind is an Nginx that returns 300 bytes, so that what is measured is the gateway alone: the CPU
time of its worker (from /proc) divided by the answers that wrk counted. The rounds are interleaved, and the smallest figure of
each line is reported: other work on the machine can only make one larger.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.gateway import NGINX, Gateway
from tests.support.ports import free_port, wait_for_port
from tests.support.redis_server import RedisServer
from tests.support.services import Services
from tests.support.tokens import KeySet, access_token

TICK = os.sysconf("SC_CLK_TCK")
CONNECTIONS = 32

WRK_SCRIPT = """
local requests, position = {}, 0
init = function(arguments)
  for line in io.lines(arguments[1]) do
    requests[#requests + 1] = wrk.format("GET", nil, {
      ["Authorization"] = line, ["Accept"] = "application/json", ["User-Agent"] = "bench/1.0 (a storefront of usual length)",
      ["Accept-Language"] = "en", ["Accept-Encoding"] = "gzip", ["Host"] = "localhost" })
  end
end
request = function()
  position = position % #requests + 1
  return requests[position]
end
"""

PLAIN = """
{user} daemon off; worker_processes 1; pid "{folder}/{name}.pid"; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path "{folder}/{name}-body"; proxy_temp_path "{folder}/{name}-proxy"; fastcgi_temp_path "{folder}/f";
    uwsgi_temp_path "{folder}/u"; scgi_temp_path "{folder}/s";
    access_log {log}; keepalive_requests 1000000; client_header_buffer_size 4k;
    {body}
}}
"""

BACKEND = """server {{ listen 127.0.0.1:{port} backlog=1024; default_type application/json; return 200 '{filler}'; }}"""
PROXY = """
upstream backend {{ server 127.0.0.1:{backend}; keepalive 64; keepalive_requests 1000000; }}
server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{ proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; }}
}}"""
STATIC = """
sendfile on;
server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{ root "{folder}/static"; try_files /file.json =404; }}
}}"""


@contextmanager
def nginx(folder: Path, name: str, body: str, port: int, log: str = "off") -> Iterator[int]:
    """A plain Nginx; gives the process id of its master."""
    path = folder / f"{name}.conf"
    path.write_text(
        PLAIN.format(
            folder=folder, name=name, body=body, log=log, user="user root;" if os.getuid() == 0 else ""
        )
    )
    process = subprocess.Popen(
        [NGINX, "-c", str(path), "-p", str(folder), "-e", "stderr"], stdin=subprocess.DEVNULL
    )
    try:
        wait_for_port(port)
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=10)


def workers(master: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def cpu_seconds(master: int) -> float:
    total = 0
    for pid in workers(master):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def measure(url: str, script: Path, tokens: Path, master: int, seconds: int) -> float:
    """Microseconds of CPU a request; raises when an answer was not a 200."""
    before = cpu_seconds(master)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), url, "--", str(tokens)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    time.sleep(0.2)
    used = cpu_seconds(master) - before
    found = re.search(r"(\d+) requests in", output)
    if not found or "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(f"{url}: not every answer was good\n{output}")
    return used / int(found[1]) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=10_000)
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "static").mkdir()
        filler = '{"results": "' + "x" * 284 + '"}'
        (folder / "static" / "file.json").write_text(filler)
        keys = KeySet()
        (folder / "one").write_text(f"Bearer {access_token(keys.keys[0])}\n")
        many = [f"Bearer {access_token(keys.keys[0])}\n" for _ in range(options.tokens)]
        (folder / "many").write_text("".join(many))
        script = folder / "script.lua"
        script.write_text(WRK_SCRIPT)

        backend, bare, logging, static = (free_port() for _ in range(4))
        stack.enter_context(nginx(folder, "backend", BACKEND.format(port=backend, filler=filler), backend))
        bare_master = stack.enter_context(
            nginx(folder, "bare", PROXY.format(port=bare, backend=backend), bare)
        )
        log_master = stack.enter_context(
            nginx(
                folder,
                "logging",
                PROXY.format(port=logging, backend=backend),
                logging,
                f'"{folder}/plain.log"',
            )
        )
        static_master = stack.enter_context(
            nginx(folder, "static", STATIC.format(port=static, folder=folder), static)
        )

        services = Services()
        services["svc-accounts"].jwks = keys.document
        services.start()
        stack.callback(services.stop)
        redis = RedisServer(folder / "redis")
        redis.start()
        stack.callback(redis.stop)
        huge = "1000000/1s burst 1000"
        environment = (
            services.environment()
            | redis.environment()
            | {
                "SVC_ORDERS_URL": f"http://127.0.0.1:{backend}",
                "MEDIA_ROOT": str(folder),
                "GATEWAY_WORKERS": "1",
                "GATEWAY_LIMIT_USER": huge,
                "GATEWAY_LIMIT_ADDRESS": huge,
            }
        )
        gateway = Gateway(folder / "gateway", environment).start()
        stack.callback(gateway.stop)
        gateway.wait_until_keys_are_read()
        path = "/api/v1/orders/0198c0de-0000-7000-8000-000000000001"

        lines = {
            "static file": (f"http://127.0.0.1:{static}{path}", "one", static_master),
            "bare proxy_pass": (f"http://127.0.0.1:{bare}{path}", "one", bare_master),
            "bare proxy_pass, Nginx's default access log": (
                f"http://127.0.0.1:{logging}{path}",
                "one",
                log_master,
            ),
            f"bare proxy_pass, {options.tokens} tokens": (
                f"http://127.0.0.1:{bare}{path}",
                "many",
                bare_master,
            ),
            "gateway, one token": (f"{gateway.url}{path}", "one", gateway.master),
            f"gateway, {options.tokens} tokens": (f"{gateway.url}{path}", "many", gateway.master),
        }
        for url, tokens, master in lines.values():
            measure(url, script, folder / tokens, master, 2)
        figures: dict[str, list[float]] = {label: [] for label in lines}
        for _ in range(options.rounds):
            for label, (url, tokens, master) in lines.items():
                figures[label].append(measure(url, script, folder / tokens, master, options.seconds))
        bare_cost = min(figures["bare proxy_pass"])
        print(f"{'CPU a request':<48}{'µs':>8}{'ratio':>8}   all rounds")
        for label, values in figures.items():
            rounds = " ".join(f"{value:.1f}" for value in values)
            print(f"{label:<48}{min(values):8.1f}{min(values) / bare_cost:8.2f}   {rounds}")


if __name__ == "__main__":
    main()
