"""A plain Nginx beside the gateway: what it is compared with, or a service that only serves bytes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.gateway import NGINX
from tests.support.ports import wait_for_port

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


@contextmanager
def nginx(folder: Path, name: str, body: str, port: int, log: str = "off") -> Iterator[int]:
    """A plain Nginx; gives the process id of its master."""
    path = folder / f"{name}.conf"
    user = "user root;" if os.getuid() == 0 else ""
    path.write_text(PLAIN.format(folder=folder, name=name, body=body, log=log, user=user))
    command = [NGINX, "-c", str(path), "-p", str(folder), "-e", "stderr"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=10)
