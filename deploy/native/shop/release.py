"""`make release`: the package `deploy/release` with what it reads, among that where to ask what runs."""

import os
import subprocess

from shop import gateway, services, stack, supervisor
from shop.envfile import prefix
from shop.layout import Layout
from shop.report import Progress

#: What a release is told, and what Docker and git need of the shell that calls.
KNOWN = (
    *("PATH", "TERM", "HOME", "LANG", "SHOP_STATE_DIR"),
    *(
        "SERVICE",
        "VERSION",
        "MANIFESTS",
        "AGAINST",
        "TESTS",
        "DIRTY",
        "SHOP_IMAGES",
        "PYTHON_IMAGE",
        "DEBIAN_IMAGE",
    ),
    *("DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT"),
)


def run_release(layout: Layout) -> int:
    """Release what the environment names, compared with the host processes that run here; returns the exit code."""
    return call(layout, "" if told() else ",".join(addresses(layout)))


def told() -> bool:
    """Whether the caller says what to compare with."""
    return bool(os.environ.get("MANIFESTS") or os.environ.get("AGAINST"))


def addresses(layout: Layout) -> list[str]:
    """Where each running process of this stack tells its manifest; none when the shop does not run."""
    shop = stack.find(layout, Progress())
    if shop is None or supervisor.pid(layout) is None:
        return []
    ports = [shop.env[f"{prefix(service)}_PORT"] for service in shop.services]
    if gateway.present(layout):
        ports.append(shop.env["GATEWAY_ADMIN_PORT"])
    return [f"http://127.0.0.1:{port}/internal/v1/manifest" for port in ports]


def call(layout: Layout, manifests: str) -> int:
    """Run the package; `manifests` is where it asks what runs, unless the caller says so."""
    keep = {name: value for name in KNOWN if (value := os.environ.get(name))}
    found = {"MANIFESTS": manifests} if manifests else {}
    env = {**found, **keep, **services.runtime(layout), "PYTHONPATH": str(layout.root / "deploy")}
    return subprocess.run([str(layout.python), "-m", "release"], env=env, check=False).returncode
