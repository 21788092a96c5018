"""The package of releases is a script of the tree, not an installed package."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "deploy")]


def git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def copy_of_the_tree(to: Path, services: tuple[str, ...] = ("svc-cart", "gateway")) -> Path:
    """What releases of `services` are made of, and with, committed in a repository of its own."""
    to.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "charts-*", ".pytest_cache")
    for name in (*services, "shared-lib", "deploy/release", "deploy/apidocs"):
        shutil.copytree(ROOT / name, to / name, ignore=ignored)
    for name in (*services, "service-lib"):
        shutil.copytree(
            ROOT / "k8s" / "charts" / name,
            to / "k8s" / "charts" / name,
            ignore=shutil.ignore_patterns("*.tgz", "Chart.lock"),
        )
    shutil.copy(ROOT / ".gitignore", to)
    git(to, "init", "-q", "-b", "main")
    git(to, "add", ".")
    git(to, "commit", "-q", "-m", "the tree")
    return to


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_the_tree(tmp_path_factory.mktemp("original") / "tree")
