"""The container image of a release, where a Docker engine answers."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from release.artefacts import GATEWAY
from release.refusal import Refused


def engine_answers() -> bool:
    if not shutil.which("docker"):
        return False
    try:
        asked = subprocess.run(["docker", "info"], capture_output=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


def tag_of(service: str, version: str, images: str) -> str:
    return f"{images}/{service}:{version}"


def build(root: Path, service: str, version: str, images: str, log: Path) -> str:
    """Build the image from the tree and return its tag. Raises `Refused` with the last words of the engine."""
    tag = tag_of(service, version, images)
    recipe = "gateway" if service == GATEWAY else "service"
    arguments = [f"VERSION={version}", *([] if service == GATEWAY else [f"SERVICE={service}"])]
    arguments += [
        f"{name}={os.environ[name]}" for name in ("PYTHON_IMAGE", "DEBIAN_IMAGE") if os.environ.get(name)
    ]
    command = [
        "docker",
        "build",
        "--file",
        str(root / "deploy" / "docker" / f"{recipe}.Dockerfile"),
        "--tag",
        tag,
    ]
    for each in arguments:
        command += ["--build-arg", each]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        done = subprocess.run(
            [*command, str(root)],
            env={**os.environ, "DOCKER_BUILDKIT": "1"},
            stdout=output,
            stderr=output,
            check=False,
        )
    if done.returncode:
        words = " / ".join(log.read_text(errors="replace").strip().splitlines()[-4:])
        raise Refused(f"The image {tag} cannot be built (all of it in {log}): {words}")
    return tag
