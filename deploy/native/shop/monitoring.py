"""Prometheus over the running stack: what it reads, and how it is started. Nothing of the shop needs it."""

import json
import shutil
from pathlib import Path
from typing import Any

from shop import tools
from shop.envfile import prefix
from shop.layout import Layout

#: By process of a service, the end of the setting that holds its port.
PORTS = {"web": "PORT", "events": "EVENTS_PORT", "worker": "WORKER_PORT"}


def folder(layout: Layout) -> Path:
    return layout.run / "prometheus"


def targets(env: dict[str, str], services: list[str]) -> list[dict[str, Any]]:
    """Every process that tells metrics, as Prometheus' file_sd_configs have it."""
    found = [
        (service, process, env[f"{prefix(service)}_{port}"])
        for service in services
        for process, port in PORTS.items()
    ]
    found.append(("gateway", "gateway", env["GATEWAY_ADMIN_PORT"]))
    return [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"service": service, "process": process}}
        for service, process, port in found
    ]


def configure(layout: Layout, env: dict[str, str], services: list[str]) -> Path:
    """Write prometheus.yml, the rules and the targets into one folder; returns it."""
    target = folder(layout)
    target.mkdir(mode=0o700, exist_ok=True)
    for name in ("prometheus.yml", "rules.yml"):
        shutil.copyfile(layout.root / "deploy" / "monitoring" / name, target / name)
    (target / "targets.json").write_text(json.dumps(targets(env, services), indent=1))
    return target


def command(configured: Path, data: Path, port: int) -> list[str]:
    """Prometheus in the foreground, on the loopback address."""
    return [
        tools.find("prometheus"),
        f"--config.file={configured / 'prometheus.yml'}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=1d",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
