"""What wrk prints is understood, or refused."""

from __future__ import annotations

import pytest

from load.wrk import parse

# wrk fills up units of one letter with a space.
OUTPUT = """\
Running 2s test @ http://127.0.0.1:8080
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     5.95ms    2.11ms  41.20ms   88.10%
    Req/Sec     2.70k   210.11     3.02k    75.00%
  Latency Distribution
     50%    5.71ms
     75%  902.00us
     90%    7.88ms
     99%    1.07s{pad}
  5400 requests in 2.00s, 41.10MB read
Requests/sec:   2700.00
Transfer/sec:     20.55MB
""".format(pad=" ")


def test_answers_rate_and_latencies_in_milliseconds():
    load = parse(OUTPUT)

    assert (load.answers, load.seconds, load.rate) == (5400, 2.0, 2700.0)
    assert (load.p50, load.p99) == (5.71, 1070.0)
    assert load.wrong == ""


@pytest.mark.parametrize(
    ("written", "milliseconds"), [("902.00us", 0.902), ("41.20ms", 41.2), ("1.50s", 1500), ("1.10m", 66000)]
)
def test_every_unit_of_wrk(written, milliseconds):
    assert parse(OUTPUT.replace("1.07s ", written.ljust(6))).p99 == pytest.approx(milliseconds)


def test_a_run_of_minutes_is_counted_in_seconds():
    assert parse(OUTPUT.replace("in 2.00s,", "in 1.50m,")).seconds == 90


@pytest.mark.parametrize(
    "line",
    [
        "  Non-2xx or 3xx responses: 12",
        "  Socket errors: connect 0, read 3, write 0, timeout 0",
        "checked 5400, wrong 2",
    ],
)
def test_what_is_wrong_is_told(line):
    assert parse(f"{OUTPUT}{line}\n").wrong != ""


def test_answers_that_were_all_right_are_not_wrong():
    assert parse(f"{OUTPUT}checked 5400, wrong 0\n").wrong == ""


def test_no_answer_at_all_is_wrong():
    assert parse(OUTPUT.replace("5400 requests", "0 requests")).wrong == "nothing was answered"


@pytest.mark.parametrize("output", ["", "unable to connect", OUTPUT.replace("99%", "98%")])
def test_figures_that_are_missing_are_refused(output):
    with pytest.raises(ValueError, match="unexpected"):
        parse(output)
