"""Which Python the libraries are installed for: a mistake is a sentence, and the folder of libraries stays as it is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STAMP = ROOT / ".local/venv/shop-stamp"


def bootstrap(python: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", ROOT / "deploy/native/bootstrap.sh"],
        env={**os.environ, "SHOP_PYTHON": python},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(autouse=True)
def the_libraries_stay() -> Iterator[None]:
    # What is asked for below must not get as far as to install anything.
    before = STAMP.read_text()
    yield
    assert STAMP.read_text() == before


def test_a_python_that_is_not_there_is_a_sentence() -> None:
    answer = bootstrap("/nowhere/python")
    assert answer.returncode == 1
    assert answer.stderr == (
        'SHOP_PYTHON is "/nowhere/python", which is no program here; give the path of a Python, or leave it out.\n'
    )


def test_a_python_that_is_too_old_is_a_sentence(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    answer = bootstrap(str(old))
    assert answer.returncode == 1
    assert f"{old} is no Python 3.11 or newer, which the shop needs" in answer.stderr


def test_the_one_in_use_has_nothing_to_do() -> None:
    answer = bootstrap(STAMP.read_text().split(" ")[1])
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
