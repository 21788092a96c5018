"""`make release` on host processes: the package `deploy/release` with the variables that it reads."""

import os
import subprocess

from shop import services
from shop.layout import Layout

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
    """Release what the environment names; returns the exit code."""
    keep = {name: value for name in KNOWN if (value := os.environ.get(name))}
    env = {**keep, **services.runtime(layout), "PYTHONPATH": str(layout.root / "deploy")}
    return subprocess.run([str(layout.python), "-m", "release"], env=env, check=False).returncode
