"""The manifest that the tree would run with: what the new version will say of itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from apidocs.build import NOWHERE
from release.artefacts import GATEWAY
from release.refusal import Refused
from shared_lib.contracts.events import SERVICES

PATIENCE_SECONDS = 300
_SERVICE = """
from shared_lib.testing.environment import prepare
prepare()
import django
django.setup()
from shared_lib.api.health import manifest_text
print(manifest_text().decode())
"""


def manifest(root: Path, service: str, version: str) -> dict[str, Any]:
    """The manifest of `service` as the tree `root` has it. Raises `Refused` with what keeps it from starting."""
    keep = {name: value for name in ("PATH", "HOME", "NGINX_MODULES_DIR") if (value := os.environ.get(name))}
    base = {**keep, "LANG": "C.UTF-8", "SERVICE_VERSION": version}
    text = _of_gateway(root, base) if service == GATEWAY else _of_service(root, service, base)
    found: dict[str, Any] = json.loads(text)
    return found


def _of_service(root: Path, service: str, base: dict[str, str]) -> str:
    environment = {
        **base,
        **NOWHERE,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PYTHONPATH": str(root / "shared-lib" / "src"),
        # Compiled files stay out of the tree, and those that are there already are used.
        "PYTHONPYCACHEPREFIX": os.environ.get("PYTHONPYCACHEPREFIX") or str(root / ".local" / "pycache"),
    }
    return _said([sys.executable, "-c", _SERVICE], root / service, environment, service)


def _of_gateway(root: Path, base: dict[str, str]) -> str:
    with tempfile.TemporaryDirectory() as output:
        environment = {
            **base,
            "ENVIRONMENT": "test",
            "OUTPUT_DIR": output,
            "PUBLIC_BASE_URL": "http://shop.test",
            "STOREFRONT_URL": "http://storefront.test",
            "REDIS_HOST": "127.0.0.1",
            "MEDIA_ROOT": "/tmp",  # noqa: S108 - nothing is written or served
            **{f"{each.upper().replace('-', '_')}_URL": "http://127.0.0.1:9" for each in SERVICES},
        }
        _said([str(root / "gateway" / "bin" / "render")], root, environment, GATEWAY)
        return (Path(output) / "manifest.json").read_text()


def _said(command: list[str], folder: Path, environment: dict[str, str], service: str) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Refused(
            f"{service} does not start within {PATIENCE_SECONDS} s, so that nobody knows what it needs."
        ) from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise Refused(f"{service} does not start, so that nobody knows what it needs: {lines[-1]}")
    return done.stdout
