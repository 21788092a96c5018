"""A Redis of our own, with the gateway's restricted user, that can be stopped and started again."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import redis

from tests.support.ports import free_port, wait_for_port

USER, PASSWORD, ADMIN_PASSWORD = "gateway", "gateway-secret", "admin-secret"


class RedisServer:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "redis.conf").write_text(
            f'port {self.port}\nbind 127.0.0.1\nsave ""\nappendonly no\ndir "{folder}"\n'
            f"user default on >{ADMIN_PASSWORD} ~* &* +@all\n"
            f"user {USER} on >{PASSWORD} resetkeys ~gateway:* -@all +get +zrangebyscore\n"
        )

    def start(self) -> None:
        if self._process is None:
            command = [shutil.which("redis-server") or "redis-server", str(self.folder / "redis.conf")]
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            wait_for_port(self.port)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, password=ADMIN_PASSWORD)

    def environment(self) -> dict[str, str]:
        return {
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(self.port),
            "REDIS_USER": USER,
            "REDIS_PASSWORD": PASSWORD,
        }
