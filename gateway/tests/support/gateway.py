"""The gateway itself: bin/render and the real Nginx."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.support import http
from tests.support.ports import free_port, wait_for_port

FOLDER = Path(__file__).resolve().parents[2]
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"


def render(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "NGINX_MODULES_DIR") if name in os.environ}
    command = [str(FOLDER / "bin" / "render")]
    return subprocess.run(
        command, env=keep | environment, capture_output=True, text=True, timeout=20, check=False
    )


def check(output: Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """`nginx -t` on a rendered configuration."""
    command = [NGINX, "-t", "-c", str(output / "nginx.conf"), "-p", str(output), "-e", "stderr"]
    return subprocess.run(
        command,
        env=dict(os.environ) | (environment or {}),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


class Gateway:
    def __init__(self, output: Path, environment: dict[str, str]) -> None:
        self.output = output
        self.port, self.admin_port = free_port(), free_port()
        self.environment = {
            "ENVIRONMENT": "test",
            "OUTPUT_DIR": str(output),
            "GATEWAY_HOST": "127.0.0.1",
            "GATEWAY_WORKERS": "2",
            "GATEWAY_PORT": str(self.port),
            "GATEWAY_ADMIN_PORT": str(self.admin_port),
            "GATEWAY_ACCESS_LOG": str(output / "access.log"),
            "GATEWAY_ERROR_LOG": str(output / "error.log"),
            "PUBLIC_BASE_URL": f"http://shop.test:{self.port}",
            "STOREFRONT_URL": "http://localhost:3000",
        } | environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def master(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, edit: Callable[[str], str] = str) -> Gateway:
        """`edit` changes what no variable does in the rendered configuration."""
        result = render(self.environment)
        assert result.returncode == 0, result.stderr
        path = self.output / "nginx.conf"
        path.write_text(edit(path.read_text()))
        command = [NGINX, "-c", str(self.output / "nginx.conf"), "-p", str(self.output), "-e", "stderr"]
        environment = dict(os.environ) | self.environment
        self._process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
        wait_for_port(self.port)
        end = time.monotonic() + 10
        while len(self.workers()) < int(self.environment["GATEWAY_WORKERS"]):
            if time.monotonic() > end:
                raise TimeoutError("the workers do not start")
            time.sleep(0.02)
        return self

    def children(self) -> dict[int, str]:
        """Every process of the master and what it calls itself."""
        children = Path(f"/proc/{self.master}/task/{self.master}/children").read_text().split()
        found = {}
        for pid in children:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                found[int(pid)] = Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0")
        return found

    def workers(self) -> set[int]:
        return {pid for pid, name in self.children().items() if "worker process" in name}

    def signal_reload(self) -> None:
        os.kill(self.master, signal.SIGHUP)

    def reload(self, seconds: float = 10.0) -> None:
        """Takes the rendered configuration; returns once the old workers are gone."""
        before = self.workers()
        self.signal_reload()
        end = time.monotonic() + seconds
        while self.workers() & before or not self.workers():
            assert time.monotonic() < end, "the old workers are still there"
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=10)
            self._process = None

    def wait_until_keys_are_read(self) -> None:
        self.wait_for_metric("gateway_jwks_loaded", lambda value: value == 1)

    def metrics(self) -> dict[str, float]:
        lines = http.get(f"{self.admin_url}/metrics").text.splitlines()
        return {
            name: float(value)
            for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        }

    def wait_for_metric(self, name: str, holds: Any, seconds: float = 6.0) -> None:
        end = time.monotonic() + seconds
        value = None
        while time.monotonic() < end:
            value = self.metrics().get(name)
            if value is not None and holds(value):
                return
            time.sleep(0.05)
        raise AssertionError(f"{name} is {value}")

    def log_lines(self, holds: Any, seconds: float = 4.0) -> list[dict[str, Any]]:
        """The access log's entries that hold, once there is one."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            lines = (self.output / "access.log").read_text().splitlines()
            found = [entry for entry in map(json.loads, lines) if holds(entry)]
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError("no such line in the access log")

    def error_log(self) -> str:
        return (self.output / "error.log").read_text()


def without(environment: dict[str, str], names: Iterable[str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in set(names)}
