"""Percentiles, verdicts and reports of the benchmarks."""

from __future__ import annotations

import pytest

from load.figures import Figure, Results, number, percentile, table
from load.report import report


def test_a_percentile_is_a_value_that_was_measured():
    values = [float(value) for value in range(100, 0, -1)]

    assert percentile(values, 0.5) == 50
    assert percentile(values, 0.99) == 99
    assert percentile(values, 1) == 100
    assert percentile([7.0], 0.99) == 7
    assert percentile([1.0, 2.0, 3.0], 0) == 1


def test_the_99th_percentile_of_few_values_is_the_largest():
    assert percentile([1.0, 2.0, 50.0], 0.99) == 50


def test_no_values_have_no_percentile():
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


@pytest.mark.parametrize(
    ("value", "at_most", "verdict"),
    [
        (1.5, True, "met"),
        (1.51, True, "**missed**"),
        (1.5, False, "met"),
        (1.49, False, "**missed**"),
    ],
)
def test_a_target_is_met_by_its_own_value(value, at_most, verdict):
    assert Figure("x", value, "times", 1.5, at_most=at_most).verdict == verdict


def test_without_a_target_there_is_no_verdict():
    figure = Figure("x", 3, "ms")

    assert (figure.met, figure.verdict, figure.wanted) == (None, "", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.4567, "0.457"),
        (0.00451, "0.00451"),
        (1.5, "1.5"),
        (45.67, "45.7"),
        (456.7, "457"),
        (1234.5, "1,234"),
        (60, "60"),
        (1500, "1,500"),
        (-2.345, "-2.35"),
    ],
)
def test_numbers_have_three_figures_that_count(value, text):
    assert number(value) == text


def test_a_row_says_what_was_measured_what_is_wanted_and_whether_it_is_met():
    row = table(
        [Figure("list of 20", 1234.4, "a second", 1500, at_most=False, beside="DRF 200")]
    ).splitlines()[2]

    assert row == "| list of 20 | 1,234 a second | DRF 200 | at least 1,500 a second | **missed** |"


def test_results_come_back_from_their_file(tmp_path):
    results = Results("x", "make x", (Figure("a", 1.0, "s", 2.0), Figure("b", 2.0, "")), ("one answer",))
    results.save(tmp_path / "x.json")

    assert Results.load(tmp_path / "x.json") == results


@pytest.mark.parametrize(
    "text", ["", "[]", '{"name": "x"}', '{"name": "x", "command": "", "figures": [{}], "wrong": []}']
)
def test_a_file_that_holds_no_results_is_named(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)

    with pytest.raises(ValueError, match=r"x\.json holds no results"):
        Results.load(path)


def test_only_a_wrong_answer_makes_the_exit_code_1(tmp_path, capsys):
    missed = Figure("a", 3.0, "s", 2.0)

    assert Results("x", "make x", (missed,)).hand_over(None) == 0
    assert Results("x", "make x", (missed,), ("404",)).hand_over(tmp_path / "x.json") == 1
    assert "Wrong: 404" in capsys.readouterr().out
    assert Results.load(tmp_path / "x.json").wrong == ("404",)


def test_a_report_counts_the_targets_and_names_those_that_were_missed():
    good = Results("One", "make one", (Figure("a", 1.0, "s", 2.0), Figure("b", 1.0, "s")))
    bad = Results("Two", "make two", (Figure("c", 3.0, "s", 2.0),), ("an answer of 500",), 7.25)

    text = report([good, bad], "Now and here.")

    assert "Now and here." in text
    assert "Load average at its end: 7.2." in text
    assert "1 of 2 targets met." in text
    assert "Missed: c." in text
    assert "Wrong: an answer of 500" in text
    assert "There were wrong answers" in text
    assert "wrong" not in report([good], "").lower()
