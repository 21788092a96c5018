"""The verbs that measure."""

from __future__ import annotations

import argparse
import re

import pytest

from shop import bench, cli
from shop.layout import ROOT, Layout
from shop.problems import Problem


def test_every_benchmark_of_the_makefile_is_a_verb_that_takes_arguments() -> None:
    called = re.findall(r"@deploy/shop (bench\S*)(.*)", (ROOT / "Makefile").read_text())

    assert {verb for verb, _ in called} == {verb for verb in cli.VERBS if verb.startswith("bench")}
    assert {rest for _, rest in called} == {" $(ARGS)"}


def test_options_reach_the_benchmark_and_no_other_verb(monkeypatch, capsys) -> None:
    seen: list[list[str]] = []
    # Those of the process that runs the tests stay as they are.
    monkeypatch.setattr(cli.os, "umask", lambda mode: 0)
    monkeypatch.setattr(cli.signal, "signal", lambda number, handler: None)
    monkeypatch.setitem(
        cli.VERBS, "bench-catalog", lambda layout, arguments: seen.append(arguments.rest) or 0
    )

    assert cli.main(["bench-catalog", "--products", "10000,100000"]) == 0
    assert seen == [["--products", "10000,100000"]]
    with pytest.raises(SystemExit):
        cli.main(["ps", "--products", "1"])
    assert "--products" in capsys.readouterr().err


def test_two_benchmarks_at_once_are_refused(tmp_path) -> None:
    layout = Layout(ROOT, tmp_path, tmp_path / "env")

    with bench._one_at_a_time(layout) as its:
        assert its.state == tmp_path / "bench"
        with pytest.raises(Problem, match="runs already"), bench._one_at_a_time(layout):
            pass
    with bench._one_at_a_time(layout):
        pass


@pytest.mark.parametrize("verb", ["bench", "bench-catalog", "bench-gateway"])
def test_without_wrk_nothing_is_started(verb, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    arguments = argparse.Namespace(service=None, rest=[])

    with pytest.raises(Problem, match="install the package wrk"):
        cli.VERBS[verb](Layout(ROOT, tmp_path, tmp_path / "env"), arguments)
    assert list(tmp_path.iterdir()) == []
