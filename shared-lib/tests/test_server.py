"""What `python -m shared_lib.server` becomes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from shared_lib.server import __main__ as server


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The command lines that it became, in the folder of a service."""
    commands: list[list[str]] = []
    (tmp_path / "manage.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "execv", lambda _, command: commands.append(command))
    for name in ("DATABASE_POOL_MAX", "SHOP_WEB_MASTER"):
        monkeypatch.setenv(name, "")  # so that what the server sets is gone afterwards
        monkeypatch.delenv(name)
    monkeypatch.setenv("PORT", "8000")
    return commands


def _run(monkeypatch: pytest.MonkeyPatch, process: str) -> None:
    monkeypatch.setattr(sys, "argv", ["server", process])
    server.main()


@pytest.mark.parametrize(("process", "variable"), [("web", "WEB_THREADS"), ("worker", "WORKER_THREADS")])
def test_web_and_worker_pool_as_many_connections_as_they_have_threads(
    monkeypatch: pytest.MonkeyPatch, become: list[list[str]], process: str, variable: str
) -> None:
    monkeypatch.setenv(variable, "7")

    _run(monkeypatch, process)

    assert os.environ["DATABASE_POOL_MAX"] == "7"
    assert "7" in become[0]


@pytest.mark.parametrize("process", ["web", "worker"])
def test_a_pool_of_another_size_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch, become: list[list[str]], process: str
) -> None:
    monkeypatch.setenv("DATABASE_POOL_MAX", "0")

    _run(monkeypatch, process)

    assert os.environ["DATABASE_POOL_MAX"] == "0"


def test_outside_of_a_service_it_says_where_it_should_be_run(
    monkeypatch: pytest.MonkeyPatch, become: list[list[str]]
) -> None:
    Path("manage.py").unlink()

    with pytest.raises(SystemExit, match="from the folder of a service"):
        _run(monkeypatch, "web")

    assert become == []
