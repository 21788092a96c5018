"""`make release` beside services that really run: their web processes tell what they are, a changed copy of the tree asks."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conftest import ROOT, copy_of_the_tree, git

import shared_lib
from apidocs.build import NOWHERE

RUNNING = ("svc-cart", "svc-catalog", "svc-orders")
WEB = """
import runpy, sys
from shared_lib.testing.environment import prepare
prepare()
sys.argv = ["shared_lib.server", "web"]
runpy.run_module("shared_lib.server", run_name="__main__")
"""
BASE = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPYCACHEPREFIX") if name in os.environ}
EVENT = "    product_id: UUID\n    available: int\n\n\nclass StockLow"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Three services of this tree as 1.0.0; the addresses of their manifests, with commas."""
    processes, addresses = [], []
    for service in RUNNING:
        port = free_port()
        env = {
            **BASE,
            **NOWHERE,
            "SERVICE_VERSION": "1.0.0",
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "WEB_WORKERS": "1",
        }
        command = [sys.executable, "-c", WEB]
        with (tmp_path_factory.getbasetemp() / f"{service}.log").open("w") as log:
            processes.append(subprocess.Popen(command, cwd=ROOT / service, env=env, stdout=log, stderr=log))
        addresses.append(f"http://127.0.0.1:{port}/internal/v1/manifest")
    try:
        for address in addresses:
            wait_for(address)
        yield ",".join(addresses)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=30)


def wait_for(address: str) -> None:
    end = time.monotonic() + 200
    while True:
        try:
            httpx.get(address, trust_env=False).raise_for_status()
        except httpx.HTTPError:
            assert time.monotonic() < end, f"{address} does not answer"
            time.sleep(0.1)
        else:
            return


class Tree:
    """A copy of the tree in which contracts change, and `make release` of svc-catalog in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def change(self, file: str, old: str, new: str) -> None:
        path = self.root / "shared-lib" / "src" / "shared_lib" / "contracts" / file
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))
        git(self.root, "commit", "-q", "-a", "-m", "a change")

    def raise_library(self) -> None:
        """Another version of shared-lib, as other contents of it need."""
        for name in ("src/shared_lib/__init__.py", "pyproject.toml"):
            file = self.root / "shared-lib" / name
            file.write_text(file.read_text().replace(f'"{shared_lib.__version__}"', '"99.0.0"'))
        git(self.root, "commit", "-q", "-a", "-m", "another version")

    def release(self, **given: str) -> subprocess.CompletedProcess[str]:
        env = {
            **BASE,
            "SERVICE": "svc-catalog",
            "VERSION": "1.1.0",
            "TESTS": "skip",
            "DOCKER_HOST": "unix:///none",
            **given,
        }
        path = f"{self.root}/deploy:{self.root}/shared-lib/src"
        return subprocess.run(
            [sys.executable, "-m", "release"],
            cwd=self.root,
            env={**env, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def made(self) -> list[str]:
        return [path.name for path in self.root.glob(".local/releases/*/*")]


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_the_tree(tmp_path_factory.mktemp("catalog") / "tree", ("svc-catalog",))


@pytest.fixture
def tree(copied: Path, tmp_path: Path) -> Tree:
    return Tree(Path(shutil.copytree(copied, tmp_path / "tree")))


def test_a_field_that_an_event_lost_stops_the_release_and_names_who_reads_it(
    tree: Tree, running: str
) -> None:
    tree.change("events/catalog.py", EVENT, "    product_id: UUID\n\n\nclass StockLow")

    done = tree.release(MANIFESTS=running)

    assert done.returncode == 1
    assert (
        "svc-cart 1.0.0, which runs, would break by the event stock.changed.v1 of svc-catalog 1.1.0: field available was removed."
    ) in done.stderr.splitlines()
    assert tree.made == []


def test_a_field_that_an_answer_lost_stops_the_release_and_names_who_calls(tree: Tree, running: str) -> None:
    tree.change("internal/catalog.py", "    weight_grams: int\n    available: int\n", "    available: int\n")

    done = tree.release(MANIFESTS=running)

    assert done.returncode == 1
    assert (
        "svc-orders 1.0.0, which runs, would break by the answer of GET variants of svc-catalog 1.1.0: field"
        " results[].weight_grams was removed."
    ) in done.stderr.splitlines()
    assert tree.made == []


def test_a_field_more_that_nobody_needs_is_released(tree: Tree, running: str) -> None:
    tree.change(
        "events/catalog.py", EVENT, EVENT.replace("available: int", "available: int\n    reserved: int = 0")
    )

    tree.raise_library()
    done = tree.release(MANIFESTS=running)

    assert done.returncode == 0, done.stderr
    assert "comparing with what runs: svc-cart 1.0.0, svc-catalog 1.0.0, svc-orders 1.0.0" in done.stdout
    assert tree.made == ["1.1.0"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Nothing is known to run here"),
        ({"MANIFESTS": "/nowhere/at/all"}, "is neither an address nor a file or folder"),
        ({"MANIFESTS": "http://127.0.0.1:9/internal/v1/manifest"}, "does not answer"),
        ({"MANIFESTS": "/", "AGAINST": "none"}, "contradict each other"),
        ({"AGAINST": "nothing"}, "AGAINST=nothing means nothing: leave it out, or write AGAINST=none"),
        ({"VERSION": ""}, "Name the VERSION: make release SERVICE=svc-cart VERSION=1.2.0"),
    ],
)
def test_what_cannot_be_understood_is_one_sentence(tree: Tree, given: dict[str, str], said: str) -> None:
    done = tree.release(**given)

    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert tree.made == []
